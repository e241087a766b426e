//! Designs that are rehearsed on the cities.

use super::Ours;
use serde_json::json;
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tandem_storage::{
    design_file::{DesignFile, Indexed, export},
    query::{Query, Start},
    rehearsal::Reported,
};

/// What a design changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewDesign {
    /// A field is added, with an index.
    NewIndex,
    /// A column of texts becomes one of numbers, with an index.
    TextToNumber,
}

/// Three views, two forms and five rules, of which one looks for a pattern.
fn rules() -> DesignFile {
    serde_json::from_value(json!({ "format": 1, "list": [{
        "name": "Cities",
        "view": [
            { "name": "By country", "sort": "country", "columns": ["country", "name"] },
            { "name": "Large", "filter": "population > 1000000 && country != \"\"" },
            { "name": "Zones", "group": "timezone", "filter": "timezone.startsWith(\"E\")" },
        ],
        "form": [
            { "name": "New", "section": [{ "fields": ["name", { "name": "admin1", "when": "country == \"US\"" }] }] },
            { "name": "Place", "section": [{ "fields": ["latitude", { "name": "timezone", "when": "latitude > 0.0" }] }] },
        ],
        "rule": [
            { "name": "country code", "check": "country.matches(\"^[A-Z]{2}$\")", "message": "two letters" },
            { "name": "population", "check": "population >= 0 && population < 100000000", "message": "people" },
            { "name": "name", "check": "name != \"\" && name.size() <= 100", "message": "a name" },
            { "name": "latitude", "check": "latitude >= -90.0 && latitude <= 90.0", "message": "degrees" },
            { "name": "longitude", "check": "longitude >= -180.0 && longitude <= 180.0", "message": "degrees" },
        ],
    }]})).expect("a design")
}

impl Ours {
    /// The present design with a change, perhaps with many views, forms and rules.
    pub fn new_design(&self, change: NewDesign, with_rules: bool) -> DesignFile {
        let mut file = export(self.workspace.read().design());
        let list = &mut file.lists[0];
        match change {
            NewDesign::NewIndex => {
                let field = json!({ "name": "grade", "type": "int", "indexed": true, "default": 1 });
                list.fields.push(serde_json::from_value(field).expect("a field"));
            }
            NewDesign::TextToNumber => {
                let field = list.fields.iter_mut().find(|field| field.name == "admin1").expect("its column");
                (field.base, field.indexed) = ("int".into(), Indexed::Whole(true));
            }
        }
        if with_rules {
            let mut others = rules().lists.remove(0);
            list.views.append(&mut others.views);
            list.forms.append(&mut others.forms);
            list.rules.append(&mut others.rules);
        }
        file
    }

    /// Makes the design another, without trying it.
    pub fn apply(&self, file: DesignFile) {
        self.workspace.commit(tandem_actors::Command::ApplyDesign(Box::new(file))).expect("a design can be applied");
    }

    /// The five rules alone.
    pub fn add_rules(&self) {
        let mut file = export(self.workspace.read().design());
        file.lists[0].rules = rules().lists.remove(0).rules;
        self.apply(file);
    }

    /// Tries the five rules, where there are none of them yet, or the same ones again.
    pub fn try_rules(&self) -> (Duration, Reported) {
        let mut file = export(self.workspace.read().design());
        file.lists[0].rules = rules().lists.remove(0).rules;
        // Something has to be new for rows to be looked at.
        file.lists[0].help = "tried".into();
        crate::clock::time(|| self.workspace.rehearse_with(&file, &mut |_| {}).expect("rules can be tried"))
    }

    /// Has the column of populations go through ten types.
    pub fn retype_ten_times(&self) {
        for base in ["text", "int", "float", "decimal", "text", "int", "float", "decimal", "int", "text"] {
            let mut file = export(self.workspace.read().design());
            let field = file.lists[0].fields.iter_mut().find(|field| field.name == "population").expect("its column");
            (field.base, field.indexed) = (base.into(), Indexed::default());
            self.apply(file);
        }
    }

    /// Reads every record; gives how many there are.
    pub fn read_all(&self) -> usize {
        let state = self.workspace.read();
        let (mut count, mut query) = (0, Query { limit: Some(10_000), ..Query::default() });
        loop {
            let page = state.page_values(self.list, &query).expect("a page can be read");
            count += page.rows.iter().filter(|(_, values)| values.iter().count() > 0).count();
            match page.next {
                Some(next) => query.start = Start::After(next),
                None => return count,
            }
        }
    }

    /// Tries a design while names are edited, one every `every`, whether or not those before are done: as by many people.
    /// Gives how long it took, what was found, and how long each edit waited from when it was due.
    pub fn rehearse(
        &self,
        file: &DesignFile,
        ids: &[[u8; 16]],
        every: Duration,
    ) -> (Duration, Reported, Vec<Duration>) {
        let done = AtomicBool::new(false);
        let (handed_in, to_await) = mpsc::channel();
        thread::scope(|scope| {
            let done = &done;
            scope.spawn(move || {
                let mut due = now();
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let pending = self.hand_in(&ids[number % ids.len()], format!("edited {number}"));
                    handed_in.send((due, pending)).expect("it is awaited");
                    due += every;
                    while now() < due {
                        thread::park_timeout(due.saturating_duration_since(now()));
                    }
                }
            });
            let waiting = scope.spawn(move || {
                let mut waited = Vec::new();
                for (due, pending) in to_await {
                    pending.wait().expect("an edit is answered").remove(0).expect("an edit can be made");
                    waited.push(now().saturating_duration_since(due));
                }
                waited
            });
            let (took, reported) = crate::clock::time(|| {
                self.workspace.rehearse_with(file, &mut |_| {}).expect("a design can be rehearsed")
            });
            done.store(true, Ordering::Relaxed);
            (took, reported, waiting.join().expect("edits go on"))
        })
    }
}

fn now() -> Instant {
    crate::clock::now()
}
