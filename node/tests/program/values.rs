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
    let found = node.json(&["ls", "tasks", "--where", filter, "--json"]);
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
