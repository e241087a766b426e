//! The server wants another design: it is tried on everybody's own contacts before it counts.

use super::{FRIEND, Group, Person, Story, short};
use crate::cli::{CliError, args::DesignFormat, design};
use std::{fs, path::Path};
use tandem_storage::design_file::{DesignFile, FieldSpec, RuleSpec, Scalar, export};

const FIELD: &str = "newsletter";
const DEFAULT: &str = "none@example.org";
const CEMS_NUMBER: &str = "+49 30 23125 204";

impl Group {
    pub(super) fn get_a_design(&self, story: &mut Story<'_>, server: &Person, folder: &Path) -> Result<(), CliError> {
        let Self { ada, bob, cem, .. } = self;
        story.chapter("The server wants an address for its newsletter with every contact; Cem is away")?;
        cem.go_offline();
        let write = |name: &str, default: Option<&str>| {
            let text = design::text_of(&with_newsletter(server, default)?, DesignFormat::Toml);
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| CliError::File { path, error })
        };
        write("newsletter.toml", None)?;
        let before = [ada, bob].map(Person::rows).into_iter().collect::<Result<Vec<_>, _>>()?;
        story.types(server, &["design", "diff", "newsletter.toml"])?;
        story.types(server, &["design", "apply", "newsletter.toml"])?;
        story.until("everybody who is there knows that it fails", || {
            let failed = [ada, bob, server].map(|person| person.proposals_failed());
            Ok(failed.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|failed| *failed > 0))
        })?;
        story.types(ada, &["design", "history"])?;
        let after = [ada, bob].map(Person::rows).into_iter().collect::<Result<Vec<_>, _>>()?;
        story.says(
            "Ada's and Bob's nodes tried it on their own contacts, which have none: nothing was changed.",
            before == after && !ada.has_field(FIELD)? && !server.has_field(FIELD)?,
        )?;

        story.chapter(&format!("Meanwhile Cem, far away, changes {FRIEND}'s number under the design that he knows"))?;
        let friend = cem.find(FRIEND)?;
        story.types(cem, &["set", "contacts", &short(friend), &format!("phones[1].number={CEMS_NUMBER}")])?;

        story.chapter("The server puts the design right: whoever has no address shows a default")?;
        write("newsletter.toml", Some(DEFAULT))?;
        story.types(server, &["design", "apply", "newsletter.toml"])?;
        story.until("the design is at everybody's who is there", || {
            Ok(ada.has_field(FIELD)? && bob.has_field(FIELD)? && server.has_field(FIELD)?)
        })?;
        story.types(bob, &["ls", "contacts", "--fields", &format!("name,{FIELD}"), "--limit", "3"])?;
        story.says("It fits now, is merged, and at Ada's, Bob's and the server's.", !cem.has_field(FIELD)?)?;

        story.chapter("Cem is back")?;
        cem.go_online()?;
        story.until("Cem has the design, and everybody his change", || {
            Ok(cem.has_field(FIELD)? && ada.number(friend)? == CEMS_NUMBER && cem.digest()? == server.digest()?)
        })?;
        story.types(cem, &["get", "contacts", &short(friend)])?;
        story.says(
            "Cem has the new design, and what he wrote under the old one arrived and was accepted.",
            cem.number(friend)? == CEMS_NUMBER && self.all_have_the_inbox(&[])?,
        )
    }
}

/// The server's design with one more field, and a rule for it.
fn with_newsletter(server: &Person, default: Option<&str>) -> Result<DesignFile, CliError> {
    let mut file = export(server.workspace()?.read().design());
    let Some(list) = file.lists.iter_mut().find(|list| list.name == "contacts") else {
        return Err(CliError::NotFound("the contacts are not there".into()));
    };
    list.fields.push(FieldSpec {
        name: FIELD.into(),
        base: "text".into(),
        required: true,
        default: default.map(|text| Scalar::Text(text.into())),
        ..FieldSpec::default()
    });
    list.rules.push(RuleSpec {
        name: "an address".into(),
        check: Some(format!("{FIELD} == null || {FIELD}.contains(\"@\")")),
        message: "an address has an @".into(),
        field: Some(FIELD.into()),
        ..RuleSpec::default()
    });
    Ok(file)
}
