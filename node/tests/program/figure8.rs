//! Figure 8 of the patent, with real nodes: what a server writes as one string is taken apart at the node that receives it,
//! travels as parts, is edited part by part, merges, is put together again and judged by the server. And two servers that
//! call and type one field differently.

use crate::{scratch::Node, team::Team, waiting::wait_until};
use serde_json::{Value as Json, json};
use std::fs;

const DESIGN: &str = r#"
format = 1
[[list]]
name = "people"
[[list.field]]
name = "name"
type = "text"
[[list.field]]
name = "phone"
type = "phone"

[[list]]
name = "tasks"
[[list.field]]
name = "id"
type = "int"
[[list.field]]
name = "title"
type = "text"
[[list.field]]
name = "owner"
type = "user"
[[list.field]]
name = "page"
type = "url"
[[list.field]]
name = "watchers"
type = "user"
many = true
"#;

/// What the server calls all that.
const NAMES: &str = r#"
[[list]]
name = "tasks"
server = "Aufgaben"
[[list.field]]
name = "id"
server = "Nummer"
[[list.field]]
name = "title"
server = "Titel"
[[list.field]]
name = "owner"
server = "Zuständig"
type = "text"
[[list.field]]
name = "page"
server = "Verweis"
[[list.field]]
name = "watchers"
server = "CreatedBy"
"#;

/// A sync of the server's, with strings as it writes them: some that are nobody's form.
const SYNC: &str = "\
Nummer,Titel,Zuständig,Verweis,CreatedBy\r
007,=Paint,123;#john@company.com,\"https://x.org/a,,b,The page\",1;#a@x.org;#2;#b@x.org\r
8,Plan,7;#Doe;; John,https://x.org/b,\r
";

/// What no member could write, for it is of no type.
const ODD: &str = "9,Odd,nobody,-,1;#a;#2\r\n";

const JUDGE: usize = 1;

fn record(node: &Node, list: &str, filter: &str) -> (String, Json) {
    let found = node.json(&["ls", list, "--where", filter, "--json"]);
    assert_eq!(found.len(), 1, "{filter}");
    (found[0]["id"].as_str().unwrap().to_owned(), found[0]["fields"].clone())
}

fn set_names(node: &Node, names: &str) {
    node.file("names.toml", names);
    node.ok(&["server", "names", "names.toml"]);
}

fn exported(node: &Node, list: &str) -> String {
    node.ok(&["export", list, "--format", "csv", "--server-names", "-o", "out.csv"]);
    fs::read_to_string(node.path("out.csv")).unwrap()
}

fn bind(owner: &Node, server: &Node, name: &str, more: &[&str]) {
    owner.ok(&[&["server", "bind", name], more].concat());
    wait_until("the binding", || (!server.json(&["server", "--json"]).is_empty()).then_some(()));
}

#[test]
fn fragments_go_from_the_server_to_the_peers_and_back() {
    let mut team = Team::of(&["Ada", "Judge", "Bob", "Cy"]);
    let nodes = team.nodes.clone();
    let (ada, judge, bob, cy) = (&nodes[0], &nodes[JUDGE], &nodes[2], &nodes[3]);
    ada.file("design.toml", DESIGN);
    ada.ok(&["design", "apply", "design.toml", "--keep-raw"]);
    team.wait_for_the_same();
    judge.file("rules.toml", RULES);
    set_names(judge, NAMES);
    judge.ok(&["server", "rules", "rules.toml"]);
    bind(ada, judge, "Judge", &[]);
    team.wait_for_the_same();

    // The member that received the sync takes it apart (806, 808); it travels as parts (812).
    set_names(ada, NAMES);
    ada.file("sync.csv", SYNC);
    ada.ok(&["import", "sync.csv", "--list", "Aufgaben", "--server-names"]);
    team.wait_for_the_same();
    assert_eq!(ada.ok(&["inbox"]), "nothing to look at\n");
    assert_eq!(exported(judge, "Aufgaben"), SYNC, "what nobody edited goes back byte for byte");
    let (paint, fields) = record(bob, "tasks", "owner.email == 'john@company.com'");
    assert_eq!(fields["page"], json!({ "url": "https://x.org/a,b", "title": "The page" }));

    // Two members edit two parts of one value, apart.
    team.stop(2);
    team.stop(3);
    bob.ok(&["set", "tasks", &paint, "page.title=Another page"]);
    cy.ok(&["set", "tasks", &paint, "page.url=https://x.org/c", "watchers[3]=3;#c@x.org"]);
    team.start(2);
    team.start(3);
    team.wait_for_the_same();
    wait_until("the server's verdicts", || {
        let said = exported(judge, "Aufgaben");
        let edited =
            "007,=Paint,123;#john@company.com,\"https://x.org/c, Another page\",1;#a@x.org;#2;#b@x.org;#3;#c@x.org\r";
        (said.lines().nth(1) == Some(edited.trim_end())).then_some(())
    });
    assert!(record(ada, "tasks", "page.title == 'Another page'").1["owner"]["index"] == 123);

    // The server judges the string that the parts make, in its own names, of which the members see none.
    let (plan, _) = record(cy, "tasks", "title == 'Plan'");
    cy.ok(&["set", "tasks", &plan, "owner=9;#eve@elsewhere.net"]);
    wait_until("the refusal at everybody", || {
        let told = nodes.iter().all(|node| node.ok(&["inbox"]).contains("only people of the company"));
        told.then_some(())
    });
    team.wait_for_the_same();
    assert_eq!(record(bob, "tasks", "title == 'Plan'").1["owner"]["label"], json!("Doe; John"));

    // And the other way: another sync of the server's, received at its own node.
    let changed = exported(judge, "Aufgaben").replace("7;#Doe;; John", "11;#jane@company.com") + ODD;
    judge.file("next.csv", &changed);
    judge.ok(&["import", "next.csv", "--list", "Aufgaben", "--server-names", "--key", "id"]);
    wait_until("the server's edit", || {
        (record(bob, "tasks", "title == 'Plan'").1["owner"]["email"] == "jane@company.com").then_some(())
    });
    assert_eq!(exported(judge, "Aufgaben"), changed);
    no_word_of(&[bob, cy], &["Zust", "Verweis", "Aufgaben", "Nummer"]);
}

const RULES: &str = r#"
[[rule]]
list = "Aufgaben"
name = "ours"
check = 'Zuständig == null || Zuständig.endsWith("@company.com") || Zuständig == before.Zuständig || is_new'
message = "only people of the company"
field = "Zuständig"
"#;

/// Nothing that these nodes hold has one of the words in it.
fn no_word_of(nodes: &[&Node], words: &[&str]) {
    for node in nodes {
        node.ok(&["backup", "backup"]);
        let mut files = vec![std::path::PathBuf::from(node.path("backup"))];
        let mut bytes = Vec::new();
        while let Some(path) = files.pop() {
            match path.is_dir() {
                true => files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())),
                false => bytes.extend(fs::read(path).unwrap()),
            }
        }
        assert!(bytes.len() > 1_000);
        for word in words {
            let has_it = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!has_it, "{word} is in what a member holds");
        }
    }
}

#[test]
fn two_servers_call_and_type_one_field_differently() {
    let team = Team::of(&["Ada", "Judge", "Mirror"]);
    let (ada, judge, mirror) = (&team.nodes[0], &team.nodes[JUDGE], &team.nodes[2]);
    ada.file("design.toml", DESIGN);
    ada.ok(&["design", "apply", "design.toml", "--keep-raw"]);
    team.wait_for_the_same();
    let names = |server: &str, ty: &str| {
        format!(
            "[[list]]\nname = \"people\"\n[[list.field]]\nname = \"phone\"\nserver = \"{server}\"\ntype = \"{ty}\"\n"
        )
    };
    let rules = |check: &str, message: &str| {
        format!("[[rule]]\nlist = \"people\"\nname = \"{message}\"\ncheck = '''{check}'''\nmessage = \"{message}\"\n")
    };
    // To the one it is a text that says enough, to the other a telephone that all can call.
    set_names(judge, &names("TelQ", "text"));
    judge.file("rules.toml", rules("TelQ == null || TelQ.size() > 4", "too-short"));
    judge.ok(&["server", "rules", "rules.toml"]);
    set_names(mirror, &names("Rufnummer", "phone"));
    mirror.file("rules.toml", rules("Rufnummer.e164 != null", "no-country"));
    mirror.ok(&["server", "rules", "rules.toml"]);
    judge.file("wrong.toml", rules("Rufnummer.e164 != null", "x"));
    judge.fails(&["server", "rules", "wrong.toml"], 2, &["no field `Rufnummer`"]);
    bind(ada, judge, "Judge", &["--lists", "people"]);
    bind(ada, mirror, "Mirror", &["--lists", "people", "--mirror"]);
    team.wait_for_the_same();

    let grace = team.record("Grace");
    ada.ok(&["set", "people", &grace, "phone.number=030 1234"]);
    wait_until("the mirror's refusal", || ada.ok(&["inbox"]).contains("no-country").then_some(()));
    team.wait_for_the_same();
    let (_, shown) = record(judge, "people", "name == 'Grace'");
    assert_eq!(shown["phone"]["number"], json!("030 1234"), "who binds has accepted it");
    assert!(exported(judge, "people").starts_with("name,TelQ\r\n"));
    assert!(exported(mirror, "people").starts_with("name,Rufnummer\r\n"));
    ada.ok(&["set", "people", &grace, "phone.number=110"]);
    wait_until("the refusal", || ada.ok(&["inbox"]).contains("too-short").then_some(()));
    no_word_of(&[ada], &["TelQ", "Rufnummer"]);
    no_word_of(&[mirror], &["TelQ"]);
    no_word_of(&[judge], &["Rufnummer"]);
}
