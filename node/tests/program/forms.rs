//! `tandem new --ask`: forms, filled in line by line.

use crate::scratch::Node;
use serde_json::{Value as Json, json};

const DESIGN: &str = r#"
format = 1

[[list]]
name = "Things"
field = [
    { name = "Name", type = "text", required = true, help = "What is on the label." },
    { name = "Kind", type = "choice", choices = ["nut", "bolt"], default = "nut" },
    { name = "Count", type = "int" },
    { name = "Tags", type = "text", many = true },
]
form = [
    { name = "New", section = [
        { title = "What it is", fields = ["Name", "Kind", { name = "Count", when = "Kind == 'bolt'" }] },
        { title = "Also", fields = ["Tags"] },
    ] },
    { name = "Quick", section = [{ fields = ["Name"] }] },
]
rule = [{ name = "few", check = "Count == null || Count < 10", message = "no more than nine", field = "Count" }]
"#;

fn node() -> Node {
    let node = Node::with_workspace();
    node.file("things.toml", DESIGN);
    node.ok(&["design", "apply", "things.toml"]);
    node
}

/// What is said while the form is filled in, and the fields that are saved.
fn asked(node: &Node, args: &[&str], input: &str) -> (String, Json) {
    let done = node.run_with(&[&["new", "Things"], args].concat(), input.as_bytes());
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said} {}", String::from_utf8_lossy(&done.stderr));
    let id = said.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    let fields = node.json(&["get", "Things", &id, "--json"])[0]["fields"].clone();
    (said, fields)
}

#[test]
fn a_form_asks_until_it_has_what_it_needs() {
    let node = node();
    let (said, fields) = asked(&node, &["--ask"], "\nM8\nscrew\nbolt\nmany\n3\nsteel\nlong\n\n");
    assert_eq!(
        [&fields["Name"], &fields["Kind"], &fields["Count"], &fields["Tags"]],
        [&json!("M8"), &json!("bolt"), &json!(3), &json!(["steel", "long"])]
    );
    for told in
        ["What it is", "What is on the label.", "it must have a value", "nut, bolt", "[nut]", "a whole number", "Also"]
    {
        assert!(said.contains(told), "{told:?} is not in {said}");
    }
}

#[test]
fn what_its_condition_leaves_out_or_the_command_line_says_is_not_asked_for() {
    let node = node();
    let (said, fields) = asked(&node, &["--ask"], "M8\n\n\n");
    assert!(!said.contains("Count"), "{said}");
    assert_eq!((&fields["Name"], &fields["Kind"]), (&json!("M8"), &json!("nut")));
    let (said, fields) = asked(&node, &["Name=M9", "Kind=bolt", "--ask"], "4\n\n");
    assert!(!said.contains("Name") && said.contains("Count"), "{said}");
    assert_eq!((&fields["Name"], &fields["Count"]), (&json!("M9"), &json!(4)));
    let (_, fields) = asked(&node, &["--form", "Quick"], "M10\n");
    assert_eq!(fields["Name"], "M10");
    node.fails(&["new", "Things", "Count=many", "--ask"], 1, &["a whole number", "many"]);
    node.fails(&["new", "Things", "--form", "Slow"], 3, &["no form Slow", "New, Quick"]);
}

#[test]
fn what_was_typed_in_is_kept_when_a_rule_refuses_it() {
    let node = node();
    let (said, fields) = asked(&node, &["--ask"], "M8\nbolt\n30\n\n\n\n5\n\n");
    assert!(said.contains("no more than nine") && said.contains("[M8]") && said.contains("[30]"), "{said}");
    assert_eq!((&fields["Name"], &fields["Count"]), (&json!("M8"), &json!(5)));
}

#[test]
fn a_form_that_is_not_filled_in_saves_nothing() {
    let node = node();
    let done = node.run_with(&["new", "Things", "--ask"], b"M8\n");
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("nothing was saved"));
    assert_eq!(node.json(&["ls", "Things", "--json"]), Vec::<Json>::new());
}

#[test]
fn several_new_elements_are_said_at_once() {
    let node = node();
    let id = node.ok(&["new", "Things", "Name=M8", "Tags[1]=steel", "Tags[2]=long"]).trim().to_owned();
    node.ok(&["set", "Things", &id, "Tags[3]=M", "Tags[4]=black"]);
    let fields = node.json(&["get", "Things", &id, "--json"])[0]["fields"].clone();
    assert_eq!(fields["Tags"], json!(["steel", "long", "M", "black"]));
    node.fails(&["set", "Things", &id, "Tags[6]=far"], 3, &["the next new one is Tags[5]"]);
}
