//! Values with several representations, with the real binary.

use crate::scratch::Node;
use serde_json::{Value as Json, json};
use std::fs;

/// Tasks of a server: their owners, what they cost, where to read on, and notes.
const TASKS: &str = "\
title,owner,cost,link,watchers,note
Paint,123;#john@company.com,12.50 EUR,\"https://x.org/a,,b, The page\",1;#a@x.org;#2;#b@x.org,<p>Buy <b>red</b></p>
Plan,7;#jane@company.com,EUR 3,https://x.org/b,,plain
Odd,007;#nobody,lots,no link,1;#a;#2,<script>alert(1)</script><p>x</p>
";

fn imported() -> Node {
    let node = Node::with_workspace();
    let file = node.file("tasks.csv", TASKS);
    let types = ["owner=user", "cost=currency", "link=url", "watchers=many user", "note=rich-text"];
    let mut args = vec!["import", file.as_str()];
    args.extend(types.iter().flat_map(|ty| ["--type", ty]));
    let said = node.ok(&args);
    assert!(said.contains("1 values of owner are no user, the first in line 4: 007;#nobody"), "{said}");
    node
}

fn fields(node: &Node, filter: &str) -> Json {
    fields_of(node, "tasks", filter)
}

fn fields_of(node: &Node, list: &str, filter: &str) -> Json {
    let found = node.json(&["ls", list, "--where", filter, "--json"]);
    assert_eq!(found.len(), 1, "{filter}");
    found[0]["fields"].clone()
}

fn titles(node: &Node, args: &[&str]) -> Vec<String> {
    let found = node.json(&[&["ls", "tasks", "--json"], args].concat());
    found.iter().map(|record| record["fields"]["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn strings_are_taken_apart_found_by_their_parts_and_given_back() {
    let node = imported();
    let paint = fields(&node, "owner.email.endsWith('john@company.com')");
    assert_eq!(paint["owner"], json!({ "index": 123, "email": "john@company.com" }));
    assert_eq!(paint["cost"], json!({ "amount": "12.5", "currency": "EUR" }));
    assert_eq!(paint["link"], json!({ "url": "https://x.org/a,b", "title": "The page" }));
    assert_eq!(paint["watchers"][1], json!({ "index": 2, "email": "b@x.org" }));
    assert_eq!(paint["note"]["markdown"], json!("Buy **red**"));
    assert_eq!(fields(&node, "link.url == 'https://x.org/b'")["link"], json!({ "url": "https://x.org/b" }));
    assert_eq!(fields(&node, "watchers.exists(w, w.email == 'b@x.org')")["title"], json!("Paint"));
    assert_eq!(fields(&node, "cost.amount > 10")["title"], json!("Paint"));

    let odd = fields(&node, "title == 'Odd'");
    assert_eq!((&odd["owner"], &odd["cost"], &odd["link"]), (&json!("007;#nobody"), &json!("lots"), &json!("no link")));
    assert_eq!(odd["note"]["html"], json!("<p>x</p>"));

    assert_eq!(titles(&node, &["--sort", "owner.email"]), ["Plan", "Paint", "Odd"]);
    assert_eq!(titles(&node, &["--sort", "owner.index:desc"]), ["Paint", "Plan", "Odd"]);
    assert_eq!(titles(&node, &["--sort", "cost.amount"]), ["Plan", "Paint", "Odd"]);

    let out = node.path("out.csv");
    node.ok(&["export", "tasks", "--format", "csv", "--output", &out]);
    let exported = fs::read_to_string(&out).unwrap();
    for line in TASKS.lines().skip(1) {
        let row = exported.lines().find(|row| row.starts_with(&line[..4])).unwrap();
        assert_eq!(row.trim_end(), line, "{exported}");
    }
}

#[test]
fn parts_are_edited_and_what_goes_with_them_follows() {
    let node = imported();
    let id = |title: &str| {
        let found = node.json(&["ls", "tasks", "--where", &format!("title == '{title}'"), "--json"]);
        found[0]["id"].as_str().unwrap().to_owned()
    };
    let paint = id("Paint");
    node.ok(&["set", "tasks", &paint, "link.title=Another", "owner.email=jane@company.com", "cost.amount=13"]);
    let shown = fields(&node, "title == 'Paint'");
    assert_eq!(shown["link"], json!({ "url": "https://x.org/a,b", "title": "Another" }));
    assert_eq!(shown["owner"], json!({ "index": -1, "email": "jane@company.com" }), "the server finds the row");
    assert_eq!(shown["cost"], json!({ "amount": "13", "currency": "EUR" }));

    node.ok(&[
        "set",
        "tasks",
        &paint,
        "owner=9;#joe@company.com",
        "link=https://x.org/c",
        "watchers=2;#b@x.org;#3;#c@x.org",
    ]);
    let shown = fields(&node, "title == 'Paint'");
    assert_eq!(shown["owner"], json!({ "index": 9, "email": "joe@company.com" }));
    assert_eq!(shown["link"], json!({ "url": "https://x.org/c" }));
    assert_eq!(shown["watchers"], json!([{ "index": 2, "email": "b@x.org" }, { "index": 3, "email": "c@x.org" }]));

    node.ok(&["set", "tasks", &paint, "note.markdown=Buy **blue**", "watchers[2]="]);
    let shown = fields(&node, "title == 'Paint'");
    assert_eq!(shown["note"]["source"], json!("<p>Buy <strong>blue</strong></p>"));
    assert_eq!(shown["watchers"], json!([{ "index": 2, "email": "b@x.org" }]));

    let refused = |assignment: &str, says: &[&str]| node.fails(&["set", "tasks", &paint, assignment], 1, says);
    refused("owner=somebody", &["owner", "user such as 123;#john@company.com", "somebody"]);
    refused("owner.email=somebody", &["no user can have that as its email"]);
    refused("owner.name=John", &["change it there"]);
    refused("cost.currency=euro", &["no currency can have that", "such as 12.50 EUR"]);
    refused("cost.amount=much", &["amount"]);
    refused("link=nowhere", &["link", "url such as https://example.org, The title"]);
    node.fails(&["set", "tasks", &paint, "link.titel=x"], 2, &["link has no part titel", "url, title"]);
}

#[test]
fn elements_are_those_that_say_something_however_they_were_written() {
    let node = Node::with_workspace();
    let file = node.file("x.csv", "name,tags,prices,links\na,;#;#red;#blue;#,;#1.50;#2;#,\n");
    let types = ["tags=many text", "prices=many decimal", "links=many url"];
    let mut args = vec!["import", file.as_str(), "--list", "x"];
    args.extend(types.iter().flat_map(|ty| ["--type", ty]));
    node.ok(&args);
    let fields = || fields_of(&node, "x", "name == 'a'");
    assert_eq!(fields()["tags"], json!(["red", "blue"]));
    assert_eq!(fields()["prices"], json!(["1.5", "2"]));
    fields_of(&node, "x", "tags.size() == 2 && prices.size() == 2 && !(';#;#red;#blue;#' in tags)");
    let shown = node.ok(&["ls", "x"]);
    assert!(shown.contains("red; blue") && shown.contains("1.5; 2") && !shown.contains("raw"), "{shown}");
    let id = node.json(&["ls", "x", "--json"])[0]["id"].as_str().unwrap().to_owned();
    // An element is said as a string, too, in whatever form, and cleared.
    node.ok(&["set", "x", &id, "links[1]=https://x.org,One", "links[2]=https://y.org, Two", "prices[1]="]);
    assert_eq!(fields()["links"][0], json!({ "url": "https://x.org", "title": "One" }));
    assert_eq!(fields()["links"][1], json!({ "url": "https://y.org", "title": "Two" }));
    assert_eq!(fields()["prices"], json!(["2"]));
    node.ok(&["set", "x", &id, "links[1]="]);
    assert_eq!(fields()["links"], json!([{ "url": "https://y.org", "title": "Two" }]));
    node.fails(&["set", "x", &id, "links[1]=nowhere"], 1, &["links", "url such as https://example.org, The title"]);
}

#[test]
fn a_row_that_no_event_holds_is_set_aside_and_empty_columns_clear_all_parts() {
    let node = Node::with_workspace();
    let long = format!("https://example.org/{},T;#", "y".repeat(150)).repeat(250);
    let file = node.file("x.csv", format!("name,links\na,\"https://x.org,One\"\nb,\";#{long}\"\nc,https://z.org\n"));
    let import = |file: &str, ty: &str, exit: i32| {
        let args = ["import", file, "--list", "x", "--key", "name", "--type", ty];
        let output = node.run(&args);
        assert_eq!(output.status.code(), Some(exit), "{}", String::from_utf8_lossy(&output.stderr));
    };
    import(&node.file("first.csv", "name,links\na,\";#https://a.org,One;#https://b.org;#\"\n"), "links=many url", 0);
    assert_eq!(fields_of(&node, "x", "name == 'a'")["links"].as_array().unwrap().len(), 2);
    import(&file, "links=many url", 5);
    let errors = std::fs::read_to_string(node.path("x.csv.errors.txt")).unwrap();
    assert!(errors.contains("line 3") && errors.contains("too large"), "{errors}");
    assert_eq!(node.json(&["ls", "x", "--json"]).len(), 2, "the others are there");
    import(&node.file("last.csv", "name,links\na,\nc,\n"), "links=many url", 0);
    assert_eq!(fields_of(&node, "x", "name == 'a'")["links"], json!([]));
}

/// People of a server with their row numbers, in teams, and tasks that refer to them in both ways.
const DESIGN: &str = r#"
format = 1
[[list]]
name = "Teams"
[[list.field]]
name = "name"
type = "text"
[[list]]
name = "People"
[[list.field]]
name = "number"
type = "int"
row_number = true
[[list.field]]
name = "name"
type = "text"
[[list.field]]
name = "team"
type = "reference"
list = "Teams"
[[list]]
name = "Tasks"
[[list.field]]
name = "title"
type = "text"
[[list.field]]
name = "owner"
type = "user"
list = "People"
indexed = ["email"]
[[list.field]]
name = "assignee"
type = "reference"
list = "People"
[[list.field]]
name = "watchers"
type = "user"
many = true
list = "People"
"#;

#[test]
fn references_are_followed_in_filters_orders_and_groups() {
    let node = Node::with_workspace();
    let file = node.file("design.toml", DESIGN);
    node.ok(&["design", "apply", &file]);
    let add = |list: &str, assignments: &[&str]| {
        let args = [&["new", list], assignments].concat();
        node.ok(&args).trim().to_owned()
    };
    let (red, blue) = (add("Teams", &["name=Red"]), add("Teams", &["name=Blue"]));
    let person = |number: &str, name: &str, team: &str| {
        add("People", &[&format!("number={number}"), &format!("name={name}"), &format!("team={team}")])
    };
    let (ada, bob) = (person("7", "Ada", &blue), person("8", "Bob", &red));
    let task = |title: &str, owner: &str, assignee: &str| {
        add("Tasks", &[&format!("title={title}"), &format!("owner={owner}"), &format!("assignee={assignee}")])
    };
    task("one", "7;#ada@x.org", &bob);
    task("two", "8;#bob@x.org", &ada);
    task("three", "9;#Nobody", &ada);
    let titles = |args: &[&str]| {
        let found = node.json(&[&["ls", "Tasks", "--json"], args].concat());
        // Behind a page that is full, the last line tells where the next begins.
        found.iter().filter_map(|line| Some(line["fields"]["title"].as_str()?.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(titles(&["--where", "assignee.team.name == 'Red'"]), ["one"]);
    assert_eq!(titles(&["--where", "owner.name == 'Ada'"]), ["one"]);
    assert_eq!(titles(&["--where", "owner.team.name == 'Red'"]), ["two"]);
    assert_eq!(titles(&["--sort", "owner.name"]), ["one", "two", "three"]);
    assert_eq!(titles(&["--sort", "assignee.team.name:desc", "--limit", "1"]), ["one"]);
    let groups = node.json(&["ls", "Tasks", "--group", "assignee.name", "--json"]);
    assert_eq!(groups, [json!({ "value": "Ada", "records": 2 }), json!({ "value": "Bob", "records": 1 })]);
    let groups = node.json(&["ls", "Tasks", "--group", "owner.name", "--json"]);
    let of = |value: &str| groups.iter().find(|group| group["value"] == value).unwrap()["records"].clone();
    assert_eq!((of("Ada"), of("Bob"), of("")), (json!(1), json!(1), json!(1)));

    // An index that names two rows means one of them, and always the same; one that names none, nobody.
    let twins = [person("3", "Tweedledum", &blue), person("3", "Tweedledee", &blue)];
    task("four", "3;#twin@x.org", &bob);
    let first = node.json(&["get", "People", twins.iter().min().unwrap(), "--json"]).remove(0);
    let named = fields_of(&node, "Tasks", "title == 'four'")["owner"]["name"].clone();
    assert_eq!(named, first["fields"]["name"]);

    // Names are those of the other list, as it is now; what is written for the server stays.
    let owner = |filter: &str| fields_of(&node, "Tasks", filter)["owner"].clone();
    assert_eq!(owner("title == 'one'"), json!({ "index": 7, "email": "ada@x.org", "name": "Ada" }));
    assert_eq!(owner("title == 'three'"), json!({ "index": 9, "label": "Nobody", "name": "Nobody" }));
    node.ok(&["set", "People", &ada, "name=Ada Byron"]);
    assert_eq!(owner("owner.name == 'Ada Byron'")["email"], json!("ada@x.org"));
    let shown = node.ok(&["ls", "Tasks"]);
    assert!(shown.contains("Ada Byron, ada@x.org") && shown.contains("Bob"), "{shown}");
    let exported = node.ok(&["export", "Tasks", "--format", "csv"]);
    assert!(exported.contains("7;#ada@x.org") && !exported.contains("Byron"), "{exported}");

    // And back.
    let two = node.json(&["ls", "Tasks", "--where", "title == 'two'", "--json"])[0]["id"].clone();
    node.ok(&["set", "Tasks", two.as_str().unwrap(), "watchers=8;#bob@x.org;#7;#ada@x.org"]);
    let links = |list: &str, id: &str| {
        let record = node.json(&["get", list, id, "--backlinks", "--json"]).remove(0);
        let links = record["backlinks"].as_array().unwrap().iter();
        links.map(|link| format!("{}.{}", link["list"].as_str().unwrap(), link["field"].as_str().unwrap())).collect()
    };
    let mut of_ada: Vec<String> = links("People", &ada);
    of_ada.sort();
    assert_eq!(of_ada, ["Tasks.assignee", "Tasks.assignee", "Tasks.owner", "Tasks.watchers"]);
    assert_eq!(links("Teams", &red) as Vec<String>, ["People.team"]);
    let shown = node.ok(&["get", "Teams", &red, "--backlinks"]);
    assert!(shown.contains("referred to by:") && shown.contains("Bob"), "{shown}");
    assert!(node.ok(&["get", "Tasks", two.as_str().unwrap(), "--backlinks"]).contains("nothing refers to it"));

    node.ok(&["rm", "People", &bob]);
    assert_eq!(links("Teams", &red) as Vec<String>, [""; 0]);
    assert_eq!(titles(&["--where", "owner.name == 'Bob'"]), Vec::<String>::new());

    let refused = |filter: &str, says: &[&str]| node.fails(&["ls", "Tasks", "--where", filter], 2, says);
    refused("assignee.nme == 'x'", &["no field", "nme", "number, name, team"]);
    refused("assignee == 'x' && assignee.team == 'x' ", &["assignee"]);
}
