//! The real binary, run as a person would.

use crate::scratch::Node;
use serde_json::Value as Json;
use std::{fs, path::Path};

#[test]
fn a_record_from_its_making_to_its_removal() {
    let node = Node::with_workspace();
    let people = node.file("people.csv", "name,age,city\nZoë,41,Köln\nBob,7,\nAda,36,London\n");
    assert!(node.ok(&["import", &people]).contains("imported 3 records into people"));
    assert!(node.ok(&["import", &people]).contains("3 were there already"));

    let sorted = node.json(&["ls", "people", "--sort", "age:desc", "--json"]);
    let names: Vec<&str> = sorted.iter().map(|record| record["fields"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Zoë", "Ada", "Bob"]);
    assert_eq!(sorted[2]["fields"]["city"], Json::Null);
    let found = node.json(&["ls", "people", "--where", "city=London", "--where", "age=36", "--json"]);
    assert_eq!(found.len(), 1);
    let page = node.json(&["ls", "people", "--limit", "2", "--json"]);
    assert!(page.len() == 3 && page[1]["id"].is_string() && page[2]["next"].is_string(), "{page:?}");

    let id = node.ok(&["new", "people", "name=Eve", "age=30"]).trim().to_owned();
    node.ok(&["set", "people", &id[..8], "age=31", "city=Paris"]);
    assert_eq!(node.ok(&["set", "people", &id, "age=31"]), "it is so already\n");
    let record = &node.json(&["get", "people", &id, "--json"])[0];
    assert_eq!(record["fields"]["age"], 31);
    assert_eq!(record["list"], "people");
    assert_eq!(record["flags"], serde_json::json!([]));

    let history = node.json(&["history", "people", &id, "--json"]);
    assert_eq!(history.len(), 2);
    assert_eq!(history[1]["ops"][0]["pred"][0]["seq"], history[0]["seq"]);
    assert_eq!(history[1]["ops"][0]["value"], 31);
    node.ok(&["rm", "people", &id]);
    node.fails(&["get", "people", &id], 3, &["no record", &id]);
    assert_eq!(node.json(&["history", "people", &id, "--json"]).len(), 3);

    let log = node.json(&["log", "--json"]);
    assert_eq!(log[0]["ops"][0]["op"], "genesis");
    assert!(log.windows(2).filter(|pair| pair[0]["chain"] == pair[1]["chain"]).all(|p| p[1]["prev"] == p[0]["id"]));
    assert_eq!(node.json(&["verify", "--rebuild", "--json"])[0]["clean"], true);
    let digest = node.json(&["digest", "--json"])[0]["digest"].clone();
    assert_eq!(digest, node.ok(&["digest"]).trim());
}

#[test]
fn contacts_come_back_out_as_they_went_in() {
    let node = Node::with_workspace();
    let contacts = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/contacts.vcf");
    assert!(node.ok(&["import", contacts]).contains("imported 41 records into contacts"));
    let out = node.path("out.vcf");
    node.ok(&["export", "contacts", "--format", "vcf", "-o", &out]);
    node.ok(&["import", &out, "--list", "again"]);
    let fields = |list: &str| {
        let mut records: Vec<String> =
            node.json(&["ls", list, "--json"]).iter().map(|record| record["fields"].to_string()).collect();
        records.sort();
        records
    };
    assert_eq!(fields("contacts"), fields("again"));
    let friend = &node.json(&["ls", "contacts", "--where", "name=Ayşe Özdemir", "--json"])[0];
    let id = friend["id"].as_str().unwrap();
    node.ok(&["set", "contacts", id, "phones[1].number=1", "phones[3].number=3", "phones[3].kind=new"]);
    let phones = node.json(&["get", "contacts", id, "--json"])[0]["fields"]["phones"].clone();
    assert_eq!(phones[0]["number"], "1");
    assert_eq!(phones[2], serde_json::json!({ "number": "3", "kind": "new" }));
    let csv = node.ok(&["export", "contacts", "--format", "csv"]);
    assert_eq!(csv.lines().next().unwrap().split(',').next(), Some("name"));
    assert_eq!(node.json(&["export", "contacts", "--format", "json"]).len(), 41);
}

#[test]
fn errors_say_what_happened_to_what_and_what_to_do() {
    let node = Node::new();
    node.fails(&["lists"], 3, &["no workspace yet", "tandem workspace new"]);
    node.fails(&["workspace", "new", " "], 1, &["workspace name", "is empty"]);
    node.ok(&["workspace", "new", "Test", "--member", "Ada"]);
    let people = node.file("people.csv", "name,age\nZoë,41\n");
    node.ok(&["import", &people]);
    node.fails(&["ls", "peple"], 3, &["no list peple", "tandem lists"]);
    node.fails(&["ls", "people", "--sort", "agee"], 3, &["no field agee", "name, age"]);
    node.fails(&["new", "people", "age=old"], 1, &["field age holds a whole number", "\"old\""]);
    node.fails(&["new", "people", "age"], 2, &["age is no FIELD=VALUE"]);
    node.fails(&["new", "people", "age.x=1"], 2, &["age has no parts"]);
    node.fails(&["new", "people", "name[1]=x"], 2, &["name holds one value"]);
    node.fails(&["get", "people", "abcdef12"], 3, &["no record abcdef12"]);
    node.fails(&["get", "people", "xyz"], 2, &["no record id"]);
    node.fails(&["--workspace", "Nope", "lists"], 3, &["no workspace Nope"]);
    node.fails(&["workspace", "rm", "Test"], 2, &["--yes"]);
    node.fails(&["export", "people", "--format", "csv", "-o", "no/such/folder/x.csv"], 1, &["no/such/folder"]);
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 1, "nothing was half-applied");
}

#[test]
fn bad_files_are_refused_and_bad_rows_set_aside() {
    let node = Node::with_workspace();
    let check = |name: &str, content: &[u8], words: &[&str]| {
        let path = node.file(name, content);
        node.fails(&["import", &path], 1, words);
    };
    check("empty.csv", b"", &["empty.csv", "is empty"]);
    check("header.csv", b"a,b\n", &["header.csv", "no rows"]);
    check("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0", &["picture.csv", "not text"]);
    check("cards.csv", b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:A\r\nEND:VCARD\r\n", &["cards.csv", ".vcf"]);
    check("table.vcf", b"a,b\n1,2\n", &["table.vcf", "no contact card"]);
    node.fails(&["import", "missing.csv"], 1, &["missing.csv", "check the path"]);
    assert!(node.json(&["lists", "--json"]).is_empty(), "no list was made for a file that cannot be read");

    let ragged = node.file("ragged.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n");
    let output = node.run(&["import", &ragged]);
    assert_eq!(output.status.code(), Some(5));
    let errors = fs::read_to_string(node.path("ragged.csv.errors.txt")).unwrap();
    assert!(errors.contains("line 3") && errors.contains("line 4"), "{errors}");
    assert_eq!(node.json(&["ls", "ragged", "--json"]).len(), 2);
}

#[test]
fn a_workspace_is_left_and_removed() {
    let node = Node::with_workspace();
    let people = node.file("people.csv", "name\nZoë\n");
    node.ok(&["import", &people]);
    node.ok(&["workspace", "new", "Second", "--member", "Ada"]);
    node.fails(&["lists"], 2, &["--workspace", "Test, Second"]);
    node.ok(&["workspace", "leave", "Test"]);
    node.fails(&["--workspace", "Test", "new", "people", "name=x"], 1, &["left", "reading only"]);
    assert_eq!(node.json(&["--workspace", "Test", "ls", "people", "--json"]).len(), 1);
    node.ok(&["workspace", "rm", "Test", "--yes"]);
    let left: Vec<_> = node.json(&["workspace", "ls", "--json"]);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["name"], "Second");
}

#[test]
fn a_newer_data_folder_is_refused_and_untouched() {
    let node = Node::with_workspace();
    let format = node.dir.path().join("data/FORMAT");
    fs::write(&format, "tandem 99\n").unwrap();
    let before = listing(&node.dir.path().join("data"));
    node.fails(&["lists"], 4, &["format 99", "newer"]);
    assert_eq!(listing(&node.dir.path().join("data")), before);
}

fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(listing(&path));
        } else {
            files.push((path.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn the_demo_tells_its_story() {
    let node = Node::new();
    let story = node.ok(&["demo"]);
    for sentence in [
        "made workspace Neighbours",
        "imported 41 records into contacts",
        "Ayşe Özdemir",
        "set phones[1].number = +49 30 23125 199",
        "all signatures good",
        "joined Neighbours as Bob (writer)",
        "joined Neighbours as Cem (writer)",
        "Ada, Bob and Cem have the same 41 contacts.",
        "Ada wrote +49 30 23125 201; Bob wrote +49 30 23125 202 after her, and has not heard of hers.",
        "Bob's number won at everybody's, because he wrote it later: +49 30 23125 202.",
        "Ada's number was kept beside it, and every inbox says so: +49 30 23125 201.",
        "Ada resolved it: the number is +49 30 23125 201 everywhere, and no inbox has anything left.",
        "removed and edited side by side",
        "Ada's edit beat Bob's delete: John Smith is there at everybody's, with the number that Ada wrote.",
        "Bob's delete was kept, and every inbox shows it.",
        "Bob resolved it: John Smith stays, and no inbox has anything left.",
        "Bob's change came to Cem through Ada: Bob and Cem were not linked at any time.",
        "At Cem's it is still signed by Bob: nobody can change it on the way.",
        "Server judges this workspace from now on",
        "by Server, RULE, rule no-slips: exmaple.org does not exist; example.org was meant",
        "The server refused it, and Cem, who never met the server, sees what Bob wrote and why it was refused.",
        "Everybody shows what was there before.",
        "The server accepted it: ayse@example.org is at everybody's, and no inbox has anything left.",
        "Now with a file of your own",
    ] {
        assert!(story.contains(sentence), "{sentence} is missing in:\n{story}");
    }
    // At both of those who met, twice over: what the conflict was, and that nothing is left of it.
    let times = |text: &str| story.matches(text).count();
    assert_eq!((times("conflict in contacts"), times("nothing to look at")), (2, 4), "{story}");
    assert!(!node.dir.path().join("data").exists(), "the demo leaves the data folder alone");
}
