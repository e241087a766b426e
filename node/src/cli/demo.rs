//! `tandem demo`: a short story, told by running the commands that a person would run.

use super::{
    CliError, Console, Exit, admin,
    args::{Import, Json, Log, Ls, OneRecord, Set, Verify},
    change, import, ls, names, read,
};
use std::fs;
use tandem_actors::{Handle, Node, Options};
use tandem_storage::query::Query;
use tandem_wire::{PartPath, Value};

/// The contact list that the project brings: invented people, real-world writing.
const CONTACTS: &[u8] = include_bytes!("../../assets/contacts.vcf");

/// Whose phone number changes in the story.
const FRIEND: &str = "Ayşe Özdemir";

const TEXT: Json = Json { json: false };

pub(super) fn demo(console: &mut Console) -> Result<Exit, CliError> {
    let folder = tempfile::tempdir().map_err(CliError::Output)?;
    let file = folder.path().join("contacts.vcf");
    fs::write(&file, CONTACTS).map_err(|error| CliError::File { path: file.clone(), error })?;
    let node = Node::open(folder.path().join("data"), Options::default())?;

    let mut story = Story { console, chapter: 0 };
    story.chapter("A workspace of your own, in a temporary folder", "workspace new Neighbours --member Ada")?;
    let workspace = node.create_workspace("Neighbours", "Ada")?;
    story.console.line(format_args!("made workspace Neighbours ({})", workspace.id()))?;

    story.chapter("A contact list comes in, in many scripts, nothing lost", "import contacts.vcf")?;
    let file =
        Import { file, list: None, dry_run: false, types: vec![], key: None, decimal_comma: false, errors: None };
    import::import(&workspace, &file, story.console)?;

    story.chapter(
        "Seen as a list, sorted by name",
        "ls contacts --sort name --fields \"name,phones,organization\" --limit 12",
    )?;
    ls::ls(&workspace, &contacts(), story.console)?;

    let record = friend(&workspace)?;
    let record = record[..8].to_owned();
    let value = "phones[1].number=+49 30 23125 199".to_owned();
    story.chapter(&format!("{FRIEND} has a new number"), &format!("set contacts {record} \"{value}\""))?;
    let list = "contacts".to_owned();
    change::set(&workspace, &Set { list: list.clone(), record: record.clone(), values: vec![value] }, story.console)?;
    story.console.line("saved: on the disk, signed, part of the record's history")?;

    story.chapter("The record's history: who did what, and when", &format!("history contacts {record}"))?;
    read::history(&workspace, &OneRecord { list, record, json: TEXT }, story.console)?;

    story.chapter("The log that proves it: every event names the one before it, and is signed", "log --limit 4")?;
    read::log(&workspace, &Log { limit: Some(4), json: TEXT }, story.console)?;
    story.chapter("Check it: signatures, and the view made anew from the log alone", "verify")?;
    admin::verify(&workspace, &Verify { rebuild: false, json: TEXT }, story.console)?;

    story.ending()?;
    drop(workspace);
    node.close()?;
    Ok(Exit::Success)
}

fn contacts() -> Ls {
    Ls {
        list: "contacts".into(),
        sort: Some("name".into()),
        filters: vec![],
        fields: vec!["name".into(), "phones".into(), "organization".into()],
        group: None,
        limit: Some(12),
        cursor: None,
        json: TEXT,
    }
}

/// The id of the friend's record.
fn friend(workspace: &Handle) -> Result<String, CliError> {
    let state = workspace.read();
    let list = names::list(state.design(), "contacts")?;
    let name = names::field(state.design(), list, "name")?;
    let filters = vec![(name, PartPath::default(), Value::Text(FRIEND.into()))];
    let found = state.list(list, &Query { filters, ..Query::default() })?;
    let missing = || CliError::NotFound(format!("the demo's contacts have no {FRIEND}"));
    Ok(found.first().ok_or_else(missing)?.id.to_string())
}

struct Story<'a> {
    console: &'a mut Console,
    chapter: u32,
}

impl Story<'_> {
    fn chapter(&mut self, title: &str, command: &str) -> Result<(), CliError> {
        self.chapter += 1;
        let title = format!("{}. {title}", self.chapter);
        let title = if self.console.screen.color { format!("\x1b[1m{title}\x1b[0m") } else { title };
        self.console.line(format_args!("\n{title}\n$ tandem {command}"))
    }

    fn ending(&mut self) -> Result<(), CliError> {
        self.console.line(
            "
Now with a file of your own (CSV or vCard):
$ tandem workspace new Mine --member \"Your name\"
$ tandem import people.csv
$ tandem lists
$ tandem ls people --sort name --limit 20
$ tandem --help

The demo's folder is gone again; your own data stays where `tandem --help` says.",
        )
    }
}
