//! Imports and exports, with the real binary.

use crate::scratch::Node;
use serde_json::{Value as Json, json};
use std::{fs, path::Path};

/// The fields of a list's records, sorted by the text of one of them.
fn fields(node: &Node, list: &str, by: &str) -> Vec<Json> {
    let mut fields: Vec<Json> =
        node.json(&["ls", list, "--json"]).iter().map(|record| record["fields"].clone()).collect();
    fields.sort_by_key(|fields| fields[by].to_string());
    fields
}

#[test]
fn a_dry_run_shows_types_and_writes_nothing() {
    let node = Node::with_workspace();
    let mut table = "name,elevation,kind,price,born\n".to_owned();
    for row in 0..60 {
        let kind = ["peak", "pass", "lake"][row % 3];
        table.push_str(&format!(
            "place {row},{}00.0,{kind},{row}.50,{}\n",
            row + 1,
            if row == 7 { "" } else { "2001-02-03" }
        ));
    }
    table.push_str("ragged\n");
    let file = node.file("places.csv", &table);
    let shown = node.ok(&["import", &file, "--dry-run"]);
    let row = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in\n{shown}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("name")[1..4], ["text", "0", "60"]);
    assert_eq!(row("elevation")[1..5], ["decimal", "0", "60", "100.0"]);
    assert_eq!(row("kind")[1..5], ["choice", "0", "3", "peak"]);
    assert_eq!(row("price")[1..4], ["decimal", "0", "60"]);
    assert_eq!(row("born")[1..4], ["date", "1", "1"]);
    assert!(shown.contains("61 rows for a new list places, in UTF-8, separated by ,"), "{shown}");
    assert!(shown.contains("Nothing was written"), "{shown}");
    assert!(node.json(&["lists", "--json"]).is_empty());
    assert!(!Path::new(&node.path("places.csv.errors.txt")).exists());

    let shown = node.ok(&["import", &file, "--dry-run", "--type", "elevation=int", "--type", "kind=text"]);
    assert!(shown.contains("elevation  int") && shown.contains("kind       text"), "{shown}");
    node.fails(&["import", &file, "--type", "elevatoin=int"], 2, &["no column elevatoin", "name, elevation, kind"]);
    node.fails(&["import", &file, "--type", "elevation=integer"], 2, &["no type integer", "int, decimal"]);
    node.fails(&["import", &file, "--type", "elevation"], 2, &["COLUMN=TYPE"]);
    node.fails(&["import", &file, "--key", "id"], 2, &["no column id", "name, elevation"]);
    assert!(node.json(&["lists", "--json"]).is_empty(), "nothing was made for a command that makes no sense");

    let cards = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/contacts.vcf");
    let shown = node.ok(&["import", cards, "--dry-run"]);
    assert!(shown.contains("41 contacts for the list contacts") && shown.contains("phones"), "{shown}");
    assert!(node.json(&["lists", "--json"]).is_empty());
}

#[test]
fn choices_are_made_of_columns_with_few_values() {
    let node = Node::with_workspace();
    let rows = |count: usize, extra: &str| {
        let rows = (0..count).map(|row| format!("{row},{}\n", ["open", "done"][row % 2]));
        format!("id,state\n{}{extra}", rows.collect::<String>())
    };
    let file = node.file("tasks.csv", rows(40, ""));
    node.ok(&["import", &file, "--key", "id"]);
    let types = node.json(&["lists", "--json"])[0]["fields"].clone();
    assert_eq!(types[1], json!({ "name": "state", "type": "choice", "choices": ["done", "open"] }));
    let open = node.json(&["ls", "tasks", "--where", "state=open", "--json"]);
    assert_eq!((open.len(), &open[0]["fields"]["state"]), (20, &json!("open")));
    let id = open[0]["id"].as_str().unwrap();
    node.ok(&["set", "tasks", id, "state=done"]);
    node.fails(&["set", "tasks", id, "state=lost"], 1, &["state holds one of done, open", "\"lost\""]);
    assert!(node.ok(&["get", "tasks", id]).contains("state  done"));
    assert!(node.ok(&["history", "tasks", id]).contains("set state = done"));

    // A newer file brings a new choice along, and the old ones stay the same.
    let newer = node.file("newer.csv", rows(40, "40,late\n"));
    let said = node.ok(&["import", &newer, "--list", "tasks", "--key", "id"]);
    assert!(said.contains("imported 1 records") && said.contains("1 were changed"), "{said}");
    assert_eq!(node.json(&["lists", "--json"])[0]["fields"][1]["choices"], json!(["done", "open", "late"]));
    assert!(node.json(&["ls", "tasks", "--json"]).iter().all(|record| record["flags"] == json!([])));

    // The table comes back with the choices' names.
    let csv = node.ok(&["export", "tasks", "--format", "csv"]);
    assert!(csv.contains("40,late\r\n"), "{csv}");
}

#[test]
fn a_key_updates_instead_of_doubling() {
    let node = Node::with_workspace();
    let first = node.file("people.csv", "id,name,city\n1,Ada,London\n2,Zoë,Köln\n3,Bob,Ulm\n");
    assert!(node.ok(&["import", &first, "--key", "id"]).contains("imported 3 records into people"));
    let events = || node.json(&["log", "--json"]).len();
    let before = events();
    let again = node.ok(&["import", &first, "--key", "id"]);
    assert!(again.contains("imported 0 records") && again.contains("3 were there already"), "{again}");
    assert!(!again.contains("batch"), "{again}");
    assert_eq!(events(), before, "equal values make no event");

    // One cell changed, one cleared, one record new, one not there any more; other order, other separator.
    let newer = node.file("newer.csv", "city;id;name\n;2;Zoë\nCambridge;1;Ada\nBonn;4;Eve\n");
    let said = node.ok(&["import", &newer, "--list", "people", "--key", "id"]);
    assert!(said.contains("imported 1 records") && said.contains("2 were changed"), "{said}");
    assert!(said.contains("1 are not in the file; they stay as they are"), "{said}");
    let expect = [
        json!({ "id": 1, "name": "Ada", "city": "Cambridge" }),
        json!({ "id": 2, "name": "Zoë", "city": null }),
        json!({ "id": 3, "name": "Bob", "city": "Ulm" }),
        json!({ "id": 4, "name": "Eve", "city": "Bonn" }),
    ];
    assert_eq!(fields(&node, "people", "id"), expect);
    assert_eq!(events(), before + 3, "an event for each row that says something new");
    let ada = &node.json(&["ls", "people", "--where", "id=1", "--json"])[0]["id"];
    let history = node.json(&["history", "people", ada.as_str().unwrap(), "--json"]);
    assert_eq!(history[1]["ops"].as_array().unwrap().len(), 1, "only the cell that changed");
}

#[test]
fn a_key_finds_records_whoever_made_them() {
    let node = Node::with_workspace();
    let first = node.file("people.csv", "id,name\n1,Ada\n2,Zoë\n");
    node.ok(&["import", &first]);
    node.ok(&["new", "people", "id=3", "name=Bob"]);
    let newer = node.file("newer.csv", "id,name\n1,Ada L.\n2,Zoë\n3,Robert\n");
    let said = node.ok(&["import", &newer, "--list", "people", "--key", "id"]);
    assert!(said.contains("imported 0 records") && said.contains("2 were changed"), "{said}");
    let expect =
        [json!({ "id": 1, "name": "Ada L." }), json!({ "id": 2, "name": "Zoë" }), json!({ "id": 3, "name": "Robert" })];
    assert_eq!(fields(&node, "people", "id"), expect);

    // A record that was given another key is that one's from then on, also when its old key comes back.
    let eve = node.file("eve.csv", "id,name\n7,Eve\n");
    node.ok(&["import", &eve, "--list", "people", "--key", "id"]);
    let id = node.json(&["ls", "people", "--where", "id=7", "--json"])[0]["id"].as_str().unwrap().to_owned();
    node.ok(&["set", "people", &id, "id=8"]);
    let both = node.file("both.csv", "id,name\n7,Mallory\n8,Eve\n");
    node.ok(&["import", &both, "--list", "people", "--key", "id"]);
    let names: Vec<Json> = fields(&node, "people", "id").iter().map(|fields| fields["name"].clone()).collect();
    assert_eq!(names, ["Ada L.", "Zoë", "Robert", "Mallory", "Eve"]);
    assert_eq!(node.json(&["get", "people", &id, "--json"])[0]["fields"]["name"], "Eve");
}

#[test]
fn rows_with_a_doubled_or_empty_key_are_set_aside() {
    let node = Node::with_workspace();
    let file = node.file("people.csv", "id,name\n1,Ada\n,Nobody\n1,Eve\n2,Zoë\n1.0,Bob\n");
    let output = node.run(&["import", &file, "--key", "id", "--type", "id=decimal"]);
    assert_eq!(output.status.code(), Some(5));
    let errors = fs::read_to_string(node.path("people.csv.errors.txt")).unwrap();
    assert!(errors.contains("line 3: the key is empty\n    Nobody\n"), "{errors}");
    assert!(errors.contains("line 4: the key is that of line 2, whose row was taken\n    1, Eve\n"), "{errors}");
    assert!(errors.contains("line 6: the key is that of line 2"), "{errors}");
    let names: Vec<Json> = fields(&node, "people", "id").iter().map(|fields| fields["name"].clone()).collect();
    assert_eq!(names, ["Ada", "Zoë"]);
    node.ok(&["new", "people", "id=2", "name=Other"]);
    let output = node.run(&["import", &file, "--key", "id"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        fs::read_to_string(node.path("people.csv.errors.txt")).unwrap().contains("2 records of the list have this key")
    );
}

#[test]
fn what_does_not_fit_is_kept_raw_and_counted() {
    let node = Node::with_workspace();
    let file = node.file("places.csv", "name,elevation\nA,100\nB,n/a\nC,2.5\nD,300\n");
    let said = node.ok(&["import", &file, "--type", "elevation=int"]);
    assert!(said.contains("2 values of elevation are no int, the first in line 3: n/a"), "{said}");
    let records = node.json(&["ls", "places", "--json"]);
    let raw: Vec<&Json> = records.iter().filter(|record| record["flags"] == json!(["raw"])).collect();
    assert_eq!(raw.len(), 2);
    assert!(raw.iter().any(|record| record["fields"]["elevation"] == "n/a"));

    // The list's own types go before what a later file looks like.
    let more = node.file("more.csv", "name,elevation\nE,5\nF,low\n");
    let said = node.ok(&["import", &more, "--list", "places"]);
    assert!(said.contains("1 values of elevation are no int, the first in line 3: low"), "{said}");
    node.fails(&["import", &more, "--list", "places", "--type", "elevation=text"], 2, &["holds int", "--list"]);
}

#[test]
fn numbers_and_days_as_people_write_them() {
    let node = Node::with_workspace();
    let german =
        node.file("preise.csv", "sep=;\r\nname;preis;menge;am\r\nA;1.234,50;1.000;31.12.1999\r\nB;0,5;2;1.2.2000\r\n");
    node.ok(&["import", &german]);
    let expect = [
        json!({ "name": "A", "preis": "1234.5", "menge": 1000, "am": "1999-12-31" }),
        json!({ "name": "B", "preis": "0.5", "menge": 2, "am": "2000-02-01" }),
    ];
    assert_eq!(fields(&node, "preise", "name"), expect);

    let open = node.file("open.csv", "n;d\n1,234;3/4/2001\n5,678;5/6/2001\n");
    assert_eq!(fields_of(&node, &open, &["--list", "a"]), json!({ "n": "1,234", "d": "3/4/2001" }));
    assert_eq!(
        fields_of(&node, &open, &["--list", "b", "--decimal-comma", "--type", "d=date:dmy"]),
        json!({ "n": "1.234", "d": "2001-04-03" })
    );
    assert_eq!(
        fields_of(&node, &open, &["--list", "c", "--type", "n=int", "--type", "d=date:mdy"]),
        json!({ "n": 1234, "d": "2001-03-04" })
    );
    node.fails(&["import", &open, "--type", "d=date"], 2, &["column d", "date:dmy", "date:mdy"]);
}

/// The first record of a file, imported with these options, the second of which is the list.
fn fields_of(node: &Node, file: &str, options: &[&str]) -> Json {
    node.ok(&[&["import", file], options].concat());
    fields(node, options[1], "n")[0].clone()
}

#[test]
fn standard_input_is_taken_as_a_file() {
    let node = Node::with_workspace();
    let output = node.run_with(&["import", "-", "--list", "people"], "name;n\nZoë;1\nBob\n".as_bytes());
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fields(&node, "people", "n"), [json!({ "name": "Zoë", "n": 1 })]);
    assert!(fs::read_to_string(node.path("stdin.errors.txt")).unwrap().contains("line 3"));
    let cards = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/contacts.vcf")).unwrap();
    let output = node.run_with(&["import", "-", "--list", "contacts"], &cards);
    assert!(String::from_utf8_lossy(&output.stdout).contains("imported 41 records"));
    let output = node.run_with(&["import", "-"], b"a,b\n1,2\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--list"));
}

#[test]
fn an_export_runs_nothing_and_comes_back_in_the_same() {
    let node = Node::with_workspace();
    let nasty = "name,note,n,price\n\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",+49 30 1,-5,1.50\n'=1,'tis,7,-2.25\n@SUM(A1),\"\ta\",0,3\n\
                 '-5,-5 apples,1,1\n";
    let file = node.file("nasty.csv", nasty);
    node.ok(&["import", &file]);
    let out = node.path("out.csv");
    node.ok(&["export", "nasty", "--format", "csv", "-o", &out]);
    let text = fs::read_to_string(&out).unwrap();
    let mut reader = csv::Reader::from_path(&out).unwrap();
    for record in reader.records() {
        for field in record.unwrap().iter() {
            let is_number = field.parse::<f64>().is_ok();
            assert!(is_number || !field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?} in\n{text}");
        }
    }
    node.ok(&["import", &out, "--list", "again"]);
    assert_eq!(fields(&node, "again", "n"), fields(&node, "nasty", "n"));
    assert_eq!(fields(&node, "again", "n")[0]["name"], "=HYPERLINK(\"http://x\",\"y\")");
    let said = node.ok(&["import", &out, "--list", "nasty", "--key", "n"]);
    assert!(said.contains("imported 0 records") && said.contains("4 were there already"), "{said}");
}

#[test]
fn removed_records_are_restored() {
    let node = Node::with_workspace();
    let file = node.file("people.csv", "name\nZoë\n");
    node.ok(&["import", &file]);
    let id = node.json(&["ls", "people", "--json"])[0]["id"].as_str().unwrap().to_owned();
    node.fails(&["restore", "people", &id[..8]], 3, &["no removed record", &id[..8]]);
    node.fails(&["restore", "people", &id], 1, &["exists already"]);
    node.ok(&["rm", "people", &id[..8]]);
    node.fails(&["get", "people", &id[..8]], 3, &["no record"]);
    assert!(node.ok(&["restore", "people", &id[..8]]).contains(&id));
    assert_eq!(fields(&node, "people", "name"), [json!({ "name": "Zoë" })]);
}

#[test]
fn one_command_takes_an_import_back() {
    let node = Node::with_workspace();
    let first = node.file("people.csv", "id,name,city\n1,Ada,London\n2,Zoë,Köln\n");
    node.ok(&["import", &first, "--key", "id"]);
    let before = fields(&node, "people", "id");
    let newer = node.file("newer.csv", "id,name,city\n1,Ada,Cambridge\n2,Zoë,\n3,Bob,Ulm\n");
    let said = node.ok(&["import", &newer, "--list", "people", "--key", "id"]);
    let after = fields(&node, "people", "id");
    let batch =
        said.lines().find_map(|line| line.strip_prefix("batch ")).unwrap().split(';').next().unwrap().to_owned();
    assert!(said.contains(&format!("`tandem undo {batch}` takes it back")), "{said}");

    let undone = node.json(&["undo", &batch[..8], "--json"])[0].clone();
    assert_eq!((&undone["removed"], &undone["values"], &undone["left"]), (&json!(1), &json!(2), &json!(0)));
    assert_eq!(fields(&node, "people", "id"), before);
    // An undo is a batch too.
    let redone = node.json(&["undo", undone["batch"].as_str().unwrap(), "--json"])[0].clone();
    assert_eq!(fields(&node, "people", "id"), after);
    node.ok(&["undo", redone["batch"].as_str().unwrap()]);
    assert_eq!(fields(&node, "people", "id"), before);
    node.ok(&["import", &newer, "--list", "people", "--key", "id"]);
    assert_eq!(fields(&node, "people", "id"), after, "what was undone can be imported again");

    node.fails(&["undo", "xyz"], 2, &["no batch and no event", "tandem history"]);
    node.fails(&["undo", &"0".repeat(32)], 3, &["no import or job"]);
    node.fails(&["undo", &"0".repeat(64)], 3, &["no event"]);
}

#[test]
fn one_event_is_undone_by_the_start_of_its_id() {
    let node = Node::with_workspace();
    let file = node.file("people.csv", "name,city\nAda,London\n");
    node.ok(&["import", &file]);
    let id = node.json(&["ls", "people", "--json"])[0]["id"].as_str().unwrap().to_owned();
    node.ok(&["set", "people", &id, "city=Paris"]);
    let event = node.json(&["history", "people", &id, "--json"])[1]["id"].as_str().unwrap().to_owned();
    assert!(node.ok(&["undo", &event[..8]]).contains("put 1 values back"));
    assert_eq!(fields(&node, "people", "name"), [json!({ "name": "Ada", "city": "London" })]);
    node.ok(&["set", "people", &id, "city=Rome"]);
    let left = node.run(&["undo", &event]);
    assert_eq!(left.status.code(), Some(1));
    let text = String::from_utf8(left.stdout).unwrap();
    assert!(text.contains("1 were left as they are") && text.contains("city: changed since, by Ada"), "{text}");
}

#[test]
fn lists_are_filtered_grouped_and_read_page_by_page() {
    let node = Node::with_workspace();
    let rows: String = (0..50).map(|row| format!("{row},{},{}\n", ["a", "b", "c"][row % 3], row * 10)).collect();
    let file = node.file("things.csv", format!("n,kind,size\n{rows}50,,\n"));
    node.ok(&["import", &file]);
    let ls = |args: &[&str]| node.json(&[&["ls", "things", "--json"], args].concat());
    assert_eq!(ls(&["--where", "size > 400 && kind == \"a\""]).len(), 3);
    assert_eq!(ls(&["--where", "kind=a", "--where", "size < 40"]).len(), 2);
    assert_eq!(ls(&["--where", "size == null"]).len(), 1);
    assert_eq!(ls(&["--where", "created_by == \"Ada\""]).len(), 51);
    let groups = ls(&["--group", "kind"]);
    assert_eq!(groups[0], json!({ "value": "a", "records": 17 }));
    assert_eq!(groups[3], json!({ "value": "", "records": 1 }));
    assert_eq!(
        ls(&["--group", "kind", "--where", "size >= 400"])
            .iter()
            .filter_map(|row| row["records"].as_u64())
            .sum::<u64>(),
        10
    );

    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["--sort", "size:desc", "--limit", "20"];
        if let Some(cursor) = &cursor {
            args.extend(["--cursor", cursor]);
        }
        let mut page = ls(&args);
        let next = page.pop_if(|line| line["next"].is_string()).map(|line| line["next"].as_str().unwrap().to_owned());
        seen.extend(page.iter().map(|record| record["fields"]["n"].as_i64().unwrap()));
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..50).rev().chain([50]).collect::<Vec<i64>>());

    let output = node.run(&["ls", "things", "--where", "size > \"x\""]);
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (output.status.code(), lines[1], lines[2].trim_end()),
        (Some(2), "size > \"x\"", "       ^^^"),
        "{text}"
    );
    node.fails(&["ls", "things", "--where", "sise > 3"], 2, &["sise", "size"]);
    node.fails(&["ls", "things", "--cursor", "zz"], 2, &["no cursor"]);
    node.fails(&["ls", "things", "--cursor", cursor.as_ref().unwrap()], 2, &["of another query"]);
    node.fails(&["ls", "things", "--group", "kind", "--sort", "n"], 2, &["cannot be used with"]);
}

#[test]
fn a_wide_row_may_lose_all_its_values() {
    let node = Node::with_workspace();
    let columns = || (0..900).map(|column| format!("c{column}"));
    let header = format!("id,{}", columns().collect::<Vec<_>>().join(","));
    let full = format!("{header}\n1,{}\n", columns().map(|_| "some value of it").collect::<Vec<_>>().join(","));
    let file = node.file("wide.csv", full);
    node.ok(&["import", &file, "--key", "id"]);
    let empty = node.file("empty.csv", format!("{header}\n1,{}\n", ",".repeat(899)));
    let said = node.ok(&["import", &empty, "--list", "wide", "--key", "id"]);
    assert!(said.contains("1 were changed"), "{said}");
    let fields = &node.json(&["ls", "wide", "--json"])[0]["fields"];
    assert!(columns().all(|column| fields[&column].is_null()));
}

#[test]
fn what_does_not_end_stops_the_import_before_it_begins() {
    let node = Node::with_workspace();
    let open_quote = node.file("open.csv", format!("a,b\n1,2\n3,\"{}", "x\n".repeat(1 << 20)));
    node.fails(&["import", &open_quote], 1, &["line 3", "1048576 bytes", "closing quote"]);
    assert!(node.json(&["lists", "--json"]).is_empty());
    let big = node.file("big.csv", format!("a,b\n1,{}\n3,4\n", "x".repeat(900_000)));
    let output = node.run(&["import", &big]);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        fs::read_to_string(node.path("big.csv.errors.txt")).unwrap().starts_with("line 2: 900001 bytes, more than")
    );
    assert_eq!(node.json(&["ls", "big", "--json"]).len(), 1);
}
