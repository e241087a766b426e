//! `tandem demo`: a story, told by running the commands that people would type, and checked as it goes: what the
//! story says of them is compared with what the nodes have, and the demo fails where that is not so.

mod alone;
mod designs;
mod group;
mod person;
mod server;
mod story;
mod values;

use self::{
    group::Group,
    person::{Person, short},
    story::Story,
};
use super::{CliError, Console, Exit};
use std::{fs, path::PathBuf};
use tandem_actors::peer_link::memory::Exchange;

/// The contact list that the project brings: invented people, real-world writing.
const CONTACTS: &[u8] = include_bytes!("../../../assets/contacts.vcf");

/// Whose phone number changes in the story.
const FRIEND: &str = "Ayşe Özdemir";

pub(super) fn demo(console: &mut Console) -> Result<Exit, CliError> {
    let folder = tempfile::tempdir().map_err(CliError::Output)?;
    let file = folder.path().join("contacts.vcf");
    fs::write(&file, CONTACTS).map_err(|error| CliError::File { path: file, error })?;
    let before = console.folder.replace(folder.path().to_owned());
    let told = tell(console, folder.path().to_owned());
    console.folder = before;
    told.map(|()| Exit::Success)
}

fn tell(console: &mut Console, folder: PathBuf) -> Result<(), CliError> {
    let exchange = Exchange::default();
    let person = |name: &'static str| Person::new(name, &folder, &exchange);
    let (ada, mut story) = (person("Ada")?, Story::new(console));
    alone::tell(&mut story, &ada)?;
    let (bob, cem, server) = (person("Bob")?, person("Cem")?, person("Server")?);
    let group = Group { ada, bob, cem, exchange };
    group.tell(&mut story)?;
    group.get_a_server(&mut story, &server, &folder)?;
    group.get_a_design(&mut story, &server, &folder)?;
    group.get_owners(&mut story, &server, &folder)?;
    story.ending()?;
    let Group { ada, bob, cem, .. } = group;
    [ada, bob, cem, server].into_iter().try_for_each(Person::close)
}
