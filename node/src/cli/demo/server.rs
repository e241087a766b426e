//! The end: the group gets a server, which refuses what only it knows to be wrong. Cem's node never meets it.

use super::{FRIEND, Group, Person, Story, short};
use crate::cli::CliError;
use std::{fs, path::Path, time::Duration};
use tandem_actors::Invitation;
use tandem_storage::inbox::Entry;
use tandem_wire::Role;

/// No member's node knows of it.
const RULES: &str = r#"[[rule]]
list = "contacts"
name = "no-slips"
check = '!emails.exists(e, e.address.endsWith("@exmaple.org"))'
message = "exmaple.org does not exist; example.org was meant"
"#;

const WRONG: &str = "ayse@exmaple.org";
const RIGHT: &str = "ayse@example.org";

impl Group {
    pub(super) fn get_a_server(&self, story: &mut Story<'_>, server: &Person, folder: &Path) -> Result<(), CliError> {
        let Self { ada, bob, cem, exchange } = self;
        story.chapter("The group gets a server, with a rule that no member's node knows")?;
        exchange.keep_apart(cem.device(), server.device());
        server.go_online()?;
        let invitation =
            Invitation { role: Role::Reader, uses: 1, valid_for: Duration::from_secs(3600), approve: false };
        let ticket = ada.node.invite(&ada.workspace()?, invitation)?.to_string();
        story.types(server, &["join", &ticket, "--name", "Server"])?;
        story.until("the contacts are at the server's", || Ok(server.digest()? == ada.digest()?))?;
        let file = folder.join("rules.toml");
        fs::write(&file, RULES).map_err(|error| CliError::File { path: file, error })?;
        story.types(server, &["server", "rules", "rules.toml"])?;
        story.types(ada, &["server", "bind", "Server"])?;
        self.until_judged(story, server)?;

        story.chapter(&format!("Bob mistypes {FRIEND}'s address"))?;
        let friend = bob.find(FRIEND)?;
        let id = &short(friend);
        let before = bob.address(friend)?;
        story.types(bob, &["set", "contacts", id, &format!("emails[1].address={WRONG}")])?;
        self.until_judged(story, server)?;
        story.types(cem, &["inbox"])?;
        let inbox = cem.inbox()?;
        let refusal = inbox.iter().find_map(|entry| match entry {
            Entry::Refused(refusal) => Some(refusal),
            _other => None,
        });
        let is_listed = refusal.is_some_and(|refusal| {
            refusal.refused.event.chain.device == bob.device()
                && refusal.refused.verdicts.iter().all(|by| by.server() == server.device())
        });
        let has_met = cem.linked()?.contains(&server.device());
        story.says(
            "The server refused it, and Cem, who never met the server, sees what Bob wrote and why it was refused.",
            is_listed && !has_met && inbox.len() == 1 && self.all_have_the_inbox(&inbox)?,
        )?;
        let shown = [ada, bob, cem].map(|person| person.address(friend));
        let shown = shown.into_iter().collect::<Result<Vec<_>, _>>()?;
        story.says("Everybody shows what was there before.", shown.iter().all(|shown| *shown == before))?;

        story.chapter("Bob puts it right")?;
        let entry = inbox.first().map(|entry| entry.id().to_string()).unwrap_or_default();
        story.types(bob, &["resend", &entry, &format!("emails[1].address={RIGHT}")])?;
        self.until_judged(story, server)?;
        story.types(cem, &["inbox"])?;
        let shown = [ada, bob, cem].map(|person| person.address(friend));
        let shown = shown.into_iter().collect::<Result<Vec<_>, _>>()?;
        story.says(
            &format!("The server accepted it: {RIGHT} is at everybody's, and no inbox has anything left."),
            shown.iter().all(|shown| shown == RIGHT) && self.all_have_the_inbox(&[])?,
        )
    }

    /// Everybody has the same, and nothing waits for a verdict.
    pub(super) fn until_judged(&self, story: &mut Story<'_>, server: &Person) -> Result<(), CliError> {
        story.until("the server's word on everything is at everybody's", || {
            for person in [&self.ada, &self.bob, &self.cem] {
                let workspace = person.workspace()?;
                let terms: Vec<_> = workspace.fold().present_terms().map(|term| term.binding).collect();
                for term in &terms {
                    if !workspace.outbox(term)?.is_empty() {
                        return Ok(false);
                    }
                }
                if terms.is_empty() || person.digest()? != server.digest()? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}
