//! The second half: how a group works. Three nodes in this process, linked through memory as they would be over a
//! network.

use super::{FRIEND, Person, Story, short};
use crate::cli::CliError;
use std::time::Duration;
use tandem_actors::{Invitation, peer_link::memory::Exchange};
use tandem_storage::inbox::Entry;
use tandem_wire::{DeviceKey, RecordId, Role};

const ADAS_NUMBER: &str = "+49 30 23125 201";
const BOBS_NUMBER: &str = "+49 30 23125 202";

/// Whom Bob takes for a duplicate, and Ada does not.
const DOUBLE: &str = "John Smith";
const DOUBLES_NUMBER: &str = "+1 555 555 0199";

/// Whose number comes to Cem through Ada.
const MILLER: &str = "Sjoerd van der Meer";
const MILLERS_NUMBER: &str = "+49 30 23125 203";

/// Who is in the story.
pub(super) struct Group {
    pub(super) ada: Person,
    pub(super) bob: Person,
    pub(super) cem: Person,
    pub(super) exchange: Exchange,
}

impl Group {
    pub(super) fn tell(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        self.come_together(story)?;
        self.edit_apart(story)?;
        self.edit_beats_delete(story)?;
        self.pass_on(story)
    }

    fn come_together(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        let Self { ada, bob, cem, .. } = self;
        story.chapter("Ada invites Bob and Cem: each has a node of their own, and now all of it")?;
        self.all().into_iter().try_for_each(Person::go_online)?;
        story.prompt(ada, &["invite", "--role", "writer", "--uses", "2"])?;
        let invitation =
            Invitation { role: Role::Writer, uses: 2, valid_for: Duration::from_secs(3600), approve: false };
        let ticket = ada.node.invite(&ada.workspace()?, invitation)?.to_string();
        story.prints(&ticket)?;
        story.types(bob, &["join", &ticket, "--name", "Bob"])?;
        story.types(cem, &["join", &ticket, "--name", "Cem"])?;
        self.until_up_to_date(story)?;
        story.types(ada, &["status"])?;
        let count = ada.contacts()?;
        let is_so = count > 0 && bob.contacts()? == count && cem.contacts()? == count;
        story.says(&format!("Ada, Bob and Cem have the same {count} contacts."), is_so)
    }

    fn edit_apart(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        let Self { ada, bob, .. } = self;
        let friend = ada.find(FRIEND)?;
        let id = &short(friend);

        story.chapter(&format!("Ada and Bob are offline, and both change {FRIEND}'s number"))?;
        self.go_offline(story, &[ada, bob])?;
        story.types(ada, &["status"])?;
        story.types(ada, &["set", "contacts", id, &format!("phones[1].number={ADAS_NUMBER}")])?;
        story.a_moment_later()?;
        story.types(bob, &["set", "contacts", id, &format!("phones[1].number={BOBS_NUMBER}")])?;
        story.says(
            &format!("Ada wrote {ADAS_NUMBER}; Bob wrote {BOBS_NUMBER} after her, and has not heard of hers."),
            ada.number(friend)? == ADAS_NUMBER && bob.number(friend)? == BOBS_NUMBER && bob.inbox()?.is_empty(),
        )?;

        story.chapter("They meet: all agree on what is shown, and what lost is kept")?;
        self.go_online(story, &[ada, bob])?;
        story.types(ada, &["inbox"])?;
        story.types(bob, &["inbox"])?;
        let inbox = ada.inbox()?;
        let sides = ada.contact(friend)?["siblings"]["phones[1].number"].take();
        let is_by = |side: usize, person: &Person, number: &str| {
            sides[side]["author"] == person.device().to_string() && sides[side]["value"] == number
        };
        story.says(
            &format!("Bob's number won at everybody's, because he wrote it later: {BOBS_NUMBER}."),
            is_by(0, bob, BOBS_NUMBER) && self.all_show(friend, BOBS_NUMBER)?,
        )?;
        story.says(
            &format!("Ada's number was kept beside it, and every inbox says so: {ADAS_NUMBER}."),
            inbox.len() == 1 && is_by(1, ada, ADAS_NUMBER) && self.all_have_the_inbox(&inbox)?,
        )?;

        story.chapter("Ada knows that hers is right, and puts it right for everybody")?;
        let adas = short(sides[1]["event"].as_str().unwrap_or_default());
        story.types(ada, &["resolve", &inbox[0].id().to_string(), "--use", &adas])?;
        self.until_up_to_date(story)?;
        story.types(ada, &["inbox"])?;
        story.types(bob, &["inbox"])?;
        story.says(
            &format!("Ada resolved it: the number is {ADAS_NUMBER} everywhere, and no inbox has anything left."),
            self.all_show(friend, ADAS_NUMBER)? && self.all_have_the_inbox(&[])?,
        )
    }

    fn edit_beats_delete(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        let Self { ada, bob, .. } = self;
        let double = ada.find(DOUBLE)?;
        let id = &short(double);

        story.chapter(&format!(
            "Offline again, Bob takes {DOUBLE} for a duplicate, while Ada has a new number for him"
        ))?;
        self.go_offline(story, &[ada, bob])?;
        story.types(ada, &["set", "contacts", id, &format!("phones[1].number={DOUBLES_NUMBER}")])?;
        story.a_moment_later()?;
        story.types(bob, &["rm", "contacts", id])?;
        story.says(
            &format!("For Bob {DOUBLE} is gone; for Ada he is there."),
            bob.contact(double)?.is_null() && ada.number(double)? == DOUBLES_NUMBER,
        )?;

        story.chapter("They meet: an edit beats a delete, even a later one")?;
        self.go_online(story, &[ada, bob])?;
        story.types(bob, &["ls", "contacts", "--where", &format!("name={DOUBLE}"), "--fields", "name,phones"])?;
        story.types(bob, &["inbox"])?;
        let inbox = bob.inbox()?;
        story.says(
            &format!("Ada's edit beat Bob's delete: {DOUBLE} is there at everybody's, with the number that Ada wrote."),
            self.all_show(double, DOUBLES_NUMBER)?,
        )?;
        story.says(
            "Bob's delete was kept, and every inbox shows it.",
            removers(&inbox) == [bob.device()] && self.all_have_the_inbox(&inbox)?,
        )?;
        story.types(bob, &["resolve", &inbox[0].id().to_string(), "--keep-both"])?;
        self.until_up_to_date(story)?;
        story.types(ada, &["inbox"])?;
        story.says(
            &format!("Bob resolved it: {DOUBLE} stays, and no inbox has anything left."),
            self.all_show(double, DOUBLES_NUMBER)? && self.all_have_the_inbox(&[])?,
        )
    }

    fn pass_on(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        let Self { ada, bob, cem, exchange } = self;
        let miller = bob.find(MILLER)?;

        story.chapter("Bob and Cem cannot reach each other, and need not: Ada is linked to both")?;
        self.go_offline(story, &[bob, cem])?;
        exchange.keep_apart(bob.device(), cem.device());
        [bob, cem].into_iter().try_for_each(Person::go_online)?;
        story.until("Bob and Cem are both linked to Ada", || {
            Ok(self.is_through_ada()? && bob.is_up_to_date_with(&[ada])? && cem.is_up_to_date_with(&[ada])?)
        })?;
        story.types(cem, &["status"])?;
        story.says("Cem's node is linked to Ada's, and to no other.", self.is_through_ada()?)?;
        story.types(bob, &["set", "contacts", &short(miller), &format!("phones[1].number={MILLERS_NUMBER}")])?;
        let mut was_through_ada = true;
        story.until("what Bob wrote is at Cem's", || {
            was_through_ada &= self.is_through_ada()?;
            Ok(bob.is_up_to_date_with(&[ada])?
                && cem.is_up_to_date_with(&[ada])?
                && ada.is_up_to_date_with(&[bob, cem])?)
        })?;
        story.types(cem, &["ls", "contacts", "--where", &format!("name={MILLER}"), "--fields", "name,phones"])?;
        story.says(
            "Bob's change came to Cem through Ada: Bob and Cem were not linked at any time.",
            was_through_ada && self.is_through_ada()? && cem.number(miller)? == MILLERS_NUMBER,
        )?;
        story.says(
            "At Cem's it is still signed by Bob: nobody can change it on the way.",
            cem.last_author(miller)? == Some(bob.device()) && cem.workspace()?.verify()?.is_clean(),
        )?;
        for person in self.all() {
            story.types(person, &["digest"])?;
        }
        story.says(
            "Whoever has the same events shows the same, to the byte.",
            ada.digest()? == bob.digest()? && ada.digest()? == cem.digest()?,
        )
    }

    fn all(&self) -> [&Person; 3] {
        [&self.ada, &self.bob, &self.cem]
    }

    /// Ends their links, also at those who stay.
    fn go_offline(&self, story: &mut Story<'_>, who: &[&Person]) -> Result<(), CliError> {
        who.iter().for_each(|person| person.go_offline());
        let is_away = |device: &DeviceKey| who.iter().any(|person| person.device() == *device);
        story.until("the links of those who went offline end", || {
            let linked = self.all().map(Person::linked).into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok(!linked.iter().flatten().any(is_away))
        })
    }

    fn go_online(&self, story: &mut Story<'_>, who: &[&Person]) -> Result<(), CliError> {
        who.iter().try_for_each(|person| person.go_online())?;
        self.until_up_to_date(story)
    }

    fn until_up_to_date(&self, story: &mut Story<'_>) -> Result<(), CliError> {
        let [ada, bob, cem] = self.all();
        story.until("Ada, Bob and Cem are linked and have the same", || {
            Ok(ada.is_up_to_date_with(&[bob, cem])?
                && bob.is_up_to_date_with(&[ada, cem])?
                && cem.is_up_to_date_with(&[ada, bob])?)
        })
    }

    /// Whether Bob and Cem are linked to Ada, and to nobody else.
    fn is_through_ada(&self) -> Result<bool, CliError> {
        Ok([self.bob.linked()?, self.cem.linked()?] == [[self.ada.device()], [self.ada.device()]])
    }

    fn all_show(&self, contact: RecordId, number: &str) -> Result<bool, CliError> {
        let shown = self.all().map(|person| person.number(contact));
        Ok(shown.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|shown| shown == number))
    }

    pub(super) fn all_have_the_inbox(&self, inbox: &[Entry]) -> Result<bool, CliError> {
        let all = self.all().map(Person::inbox);
        Ok(all.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|other| other == inbox))
    }
}

/// Who removed what the inbox lists as removed and edited side by side.
fn removers(inbox: &[Entry]) -> Vec<DeviceKey> {
    let removals = inbox.iter().flat_map(|entry| match entry {
        Entry::DeleteLost { removals, .. } => removals.as_slice(),
        Entry::Conflict { .. }
        | Entry::DesignFailed(_)
        | Entry::Held { .. }
        | Entry::Refused(_)
        | Entry::Waiting { .. } => &[],
    });
    removals.map(|removal| removal.stamp.event.chain.device).collect()
}
