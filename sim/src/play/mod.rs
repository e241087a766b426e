//! Scenarios: short stories with servers, told as a timeline.
//!
//! A scenario is a readable file under `sim/scenarios`: who is there, which lists and rules there are, what happens, and,
//! below a line `---`, the timeline that it must give. `tandem-sim play FILE` tells it; a test compares. Nodes are the
//! product's cores over tables in memory, and meet only where the scenario says so.
//!
//! [`script`] reads a file, [`stage`] has the nodes and does what they do, [`screen`] says what each of them shows.

mod screen;
mod script;
mod stage;

pub use script::BadScript;

use self::{
    screen::Screen,
    script::{Script, Step},
    stage::Stage,
};
use std::collections::BTreeMap;

/// Tells a scenario: the timeline, line by line. `text` is its file.
pub fn play(text: &str) -> Result<Vec<String>, BadScript> {
    let script = Script::read(text)?;
    let mut stage = Stage::set(&script)?;
    let mut lines = vec![format!("# {}", script.title)];
    let mut screens: BTreeMap<String, Screen> = BTreeMap::new();
    show_changes(&stage, &mut screens, &mut Vec::new());
    for (number, Step { line, text }) in script.steps.iter().enumerate() {
        lines.push(String::new());
        lines.push(format!("{}. {text}", number + 1));
        let said = stage.act(text).map_err(|why| BadScript { line: *line, why })?;
        lines.extend(said.into_iter().map(|said| format!("   {said}")));
        show_changes(&stage, &mut screens, &mut lines);
    }
    Ok(lines)
}

/// The timeline that a scenario's file says it must give.
pub fn expected(text: &str) -> Vec<String> {
    let story = text.split_once("\n---\n").map_or("", |(_, story)| story);
    story.lines().map(str::to_owned).collect()
}

/// Adds what anybody shows now and did not show before.
fn show_changes(stage: &Stage, screens: &mut BTreeMap<String, Screen>, lines: &mut Vec<String>) {
    for (name, node) in stage.nodes() {
        let now = Screen::of(node, stage);
        let before = screens.insert(name.clone(), now.clone()).unwrap_or_default();
        lines.extend(now.changes_since(&before).into_iter().map(|change| format!("   {name:<8}| {change}")));
    }
}
