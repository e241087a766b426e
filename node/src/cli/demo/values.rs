//! The server has people of its own, and says in strings like `7;#grace@example.org` who looks after a contact: the group
//! sees a person, edits parts, and the server gets its strings back.

use super::{FRIEND, Group, Person, Story, short};
use crate::cli::{CliError, args::DesignFormat, design};
use serde_json::Value as Json;
use std::{fs, path::Path};
use tandem_storage::design_file::{DesignFile, FieldSpec, Indexed, ListSpec, export};

/// As the server numbers them.
const PEOPLE: &str = "no,name,email\n7,Grace Hopper,grace@example.org\n12,Alan Turing,alan@example.org\n";
/// What the server calls things: that stays on its node.
const NAMES: &str = r#"[[list]]
name = "contacts"
server = "Kontakte"
[[list.field]]
name = "name"
server = "Anzeigename"
[[list.field]]
name = "owner"
server = "AssignedTo"
[[list.field]]
name = "about"
server = "Bemerkungen"
"#;
const GRACE: &str = "7;#grace@example.org";
const ALAN: &str = "12;#alan@example.org";
const NOTE: &str = "<p>Met at <b>the fair</b></p>";
const NOTE_IN_MARKDOWN: &str = "Met at **the fair**, calls back";
const NOTE_AFTERWARDS: &str = "<p>Met at <strong>the fair</strong>, calls back</p>";

impl Group {
    pub(super) fn get_owners(&self, story: &mut Story<'_>, server: &Person, folder: &Path) -> Result<(), CliError> {
        let Self { ada, bob, .. } = self;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| CliError::File { path, error })
        };
        story
            .chapter("The server says who looks after a contact, by the people that it knows, and in its own names")?;
        write("owners.toml", &design::text_of(&with_owners(server)?, DesignFormat::Toml))?;
        story.types(server, &["design", "apply", "owners.toml"])?;
        story.until("the design is at everybody's", || {
            let all = [ada, bob, &self.cem, server].map(|person| person.has_field("owner"));
            Ok(all.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|has| *has))
        })?;
        write("people.csv", PEOPLE)?;
        story.types(server, &["import", "people.csv", "--key", "no"])?;
        write("names.toml", NAMES)?;
        story.types(server, &["server", "names", "names.toml"])?;
        write("kontakte.csv", &format!("Anzeigename,AssignedTo,Bemerkungen\n{FRIEND},{GRACE},{NOTE}\n"))?;
        let import = ["import", "kontakte.csv", "--server-names", "--list", "Kontakte", "--key", "Anzeigename"];
        story.types(server, &import)?;
        let friend = ada.find(FRIEND)?;
        let id = &short(friend);
        let owner = |person: &Person| Ok::<Json, CliError>(person.contact(friend)?["fields"]["owner"]["name"].take());
        story.until("everybody sees who looks after them", || {
            let all = [ada, bob, &self.cem].map(owner);
            Ok(all.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|name| name == "Grace Hopper"))
        })?;
        let filter = "owner.email == 'grace@example.org'";
        story.types(ada, &["ls", "contacts", "--where", filter, "--fields", "name,owner,about"])?;
        story.says(
            &format!("The server wrote {GRACE}; everybody sees Grace Hopper, and finds her by her address."),
            owner(ada)? == "Grace Hopper",
        )?;

        story.chapter("Ada and Bob edit parts of it on two machines, at the same time")?;
        [ada, bob].into_iter().for_each(Person::go_offline);
        story.types(ada, &["set", "contacts", id, "person name.prefix=Dr.", &format!("owner={ALAN}")])?;
        let note = format!("about.markdown={NOTE_IN_MARKDOWN}");
        story.types(bob, &["set", "contacts", id, "person name.suffix=PhD", &note])?;
        [ada, bob].into_iter().try_for_each(Person::go_online)?;
        self.until_judged(story, server)?;
        story.types(&self.cem, &["get", "contacts", id])?;
        let fields = self.cem.contact(friend)?["fields"].take();
        let (name, about) = (&fields["person name"], &fields["about"]);
        story.says(
            "Both parts of one name are there, Alan Turing looks after it, the note is Bob's, and nothing is in conflict.",
            name["prefix"] == "Dr."
                && name["suffix"] == "PhD"
                && fields["owner"]["name"] == "Alan Turing"
                && about["markdown"] == NOTE_IN_MARKDOWN
                && self.all_have_the_inbox(&[])?,
        )?;

        let back = ["export", "Kontakte", "--server-names", "--format", "csv", "-o", "zurück.csv"];
        story.types(server, &back)?;
        let path = folder.join("zurück.csv");
        let table = fs::read_to_string(&path).map_err(|error| CliError::File { path, error })?;
        let line = table.lines().find(|line| line.contains(FRIEND)).unwrap_or_default();
        story.says(
            &format!("The server gets {ALAN} and {NOTE_AFTERWARDS}: strings as it writes them, under its own names."),
            line.contains(ALAN) && line.contains(NOTE_AFTERWARDS) && table.starts_with("Anzeigename,"),
        )
    }
}

/// The server's design with a list of its people, and who of them looks after a contact.
fn with_owners(server: &Person) -> Result<DesignFile, CliError> {
    let mut file = export(server.workspace()?.read().design());
    let Some(contacts) = file.lists.iter_mut().find(|list| list.name == "contacts") else {
        return Err(CliError::NotFound("the contacts are not there".into()));
    };
    let field = |name: &str, base: &str| FieldSpec { name: name.into(), base: base.into(), ..FieldSpec::default() };
    let indexed = Indexed::Parts(vec!["email".into()]);
    contacts.fields.push(FieldSpec { list: Some("people".into()), indexed, ..field("owner", "user") });
    contacts.fields.push(field("about", "rich-text"));
    let number = FieldSpec { row_number: true, ..field("no", "int") };
    let fields = vec![number, field("name", "text"), field("email", "text")];
    file.lists.push(ListSpec { name: "people".into(), fields, ..ListSpec::default() });
    Ok(file)
}
