//! The first half: what one person has of it on one machine.

use super::{FRIEND, Person, Story, short};
use crate::cli::CliError;

const NUMBER: &str = "+49 30 23125 199";

pub(super) fn tell(story: &mut Story<'_>, ada: &Person) -> Result<(), CliError> {
    story.chapter("A workspace of your own, in a temporary folder")?;
    story.types(ada, &["workspace", "new", "Neighbours", "--member", "Ada"])?;

    story.chapter("A contact list comes in, in many scripts, nothing lost")?;
    story.types(ada, &["import", "contacts.vcf"])?;
    story.types(ada, &["ls", "contacts", "--sort", "name", "--fields", "name,phones,organization", "--limit", "8"])?;

    story.chapter(&format!("{FRIEND} has a new number, and the record's history says who wrote it, and when"))?;
    let friend = ada.find(FRIEND)?;
    let id = &short(friend);
    story.types(ada, &["set", "contacts", id, &format!("phones[1].number={NUMBER}")])?;
    story.types(ada, &["history", "contacts", id])?;
    story.says("Saved: on the disk, signed, part of the record's history.", ada.number(friend)? == NUMBER)?;

    story.chapter("Every event names the one before it and is signed; the view can be made anew from them alone")?;
    story.types(ada, &["log", "--limit", "3"])?;
    story.types(ada, &["verify"])?;
    Ok(())
}
