//! What is wrong with a schedule, as notes below it.
//!
//! ```text
//! ! Paint begins before Build ends
//! ! Hen waits for itself: Hen after Egg after Hen
//! ```

use super::super::fit;
use super::Task;

const CELLS_PER_TITLE: usize = 30;
const TITLES_PER_CIRCLE: usize = 4;
const MARK: &str = "! ";

/// Whether task `index` begins before one that it depends on ends.
pub(super) fn is_broken(tasks: &[Task], index: usize) -> bool {
    tasks.get(index).is_some_and(|task| task.after.iter().any(|before| begins_too_early(tasks, task, *before)))
}

/// The notes on `tasks`, behind an empty line if there are any.
pub(super) fn lines(tasks: &[Task], width: usize) -> Vec<String> {
    let after: Vec<Vec<usize>> = tasks.iter().map(dependencies).collect();
    let circles = circles(&after);
    let notes = tasks.iter().zip(&after).flat_map(|(task, after)| task_notes(tasks, task, after));
    let notes = notes.chain(circles.iter().map(|circle| circle_note(tasks, circle)));
    let mut lines: Vec<String> = notes.flat_map(|note| note_lines(&note, width)).collect();
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn note_lines(note: &str, width: usize) -> Vec<String> {
    let wrapped = fit::wrap(note, width - MARK.len(), usize::MAX).into_iter().enumerate();
    wrapped.map(|(line, text)| format!("{}{text}", if line == 0 { MARK } else { "  " })).collect()
}

/// The dependencies of `task`, each once.
fn dependencies(task: &Task) -> Vec<usize> {
    let mut after = task.after.clone();
    after.sort_unstable();
    after.dedup();
    after
}

fn task_notes(tasks: &[Task], task: &Task, after: &[usize]) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(from), Some(to)) = (task.from, task.to)
        && from > to
    {
        notes.push(format!("{} ends on {to}, before it begins on {from}", name(task)));
    }
    notes.extend(after.iter().filter_map(|&before| match tasks.get(before) {
        None => Some(format!("{} depends on task {before}, which is missing", name(task))),
        Some(other) => {
            begins_too_early(tasks, task, before).then(|| format!("{} begins before {} ends", name(task), name(other)))
        }
    }));
    notes
}

fn begins_too_early(tasks: &[Task], task: &Task, before: usize) -> bool {
    let end = tasks.get(before).filter(|other| !std::ptr::eq(*other, task)).and_then(Task::span);
    task.span().zip(end).is_some_and(|((begin, _), (_, end))| begin < end)
}

fn name(task: &Task) -> String {
    fit::shorten(&fit::label(&task.title), CELLS_PER_TITLE)
}

/// Tasks that wait for each other: the first few of them, and how many there are.
struct Circle {
    first: Vec<usize>,
    count: usize,
}

impl Circle {
    fn of(path: &[Visit]) -> Self {
        let first = path.iter().take(TITLES_PER_CIRCLE).map(|visit| visit.task).collect();
        Self { first, count: path.len() }
    }
}

fn circle_note(tasks: &[Task], circle: &Circle) -> String {
    let names: Vec<String> = circle.first.iter().filter_map(|task| tasks.get(*task)).map(name).collect();
    let first = names.first().map_or("", String::as_str);
    match circle.count {
        1 => format!("{first} waits for itself"),
        count if count > names.len() => {
            format!("{first} waits for itself: {} and so on, {count} tasks", names.join(" after "))
        }
        _ => format!("{first} waits for itself: {} after {first}", names.join(" after ")),
    }
}

/// A task on the path that the search for circles has taken, and which of its dependencies comes next.
struct Visit {
    task: usize,
    next: usize,
}

#[derive(Clone, Copy)]
enum Seen {
    Never,
    OnPath { depth: usize },
    Done,
}

/// One circle for each dependency that closes one, found by a search in depth.
fn circles(after: &[Vec<usize>]) -> Vec<Circle> {
    let mut seen = vec![Seen::Never; after.len()];
    let mut circles = Vec::new();
    for start in 0..after.len() {
        if matches!(seen[start], Seen::Never) {
            search(after, start, &mut seen, &mut circles);
        }
    }
    circles
}

fn search(after: &[Vec<usize>], start: usize, seen: &mut [Seen], circles: &mut Vec<Circle>) {
    seen[start] = Seen::OnPath { depth: 0 };
    let mut path = vec![Visit { task: start, next: 0 }];
    while let Some(visit) = path.last_mut() {
        let Some(&before) = after[visit.task].get(visit.next) else {
            seen[visit.task] = Seen::Done;
            path.pop();
            continue;
        };
        visit.next += 1;
        match seen.get(before) {
            Some(Seen::OnPath { depth }) => circles.push(Circle::of(&path[*depth..])),
            Some(Seen::Never) => {
                seen[before] = Seen::OnPath { depth: path.len() };
                path.push(Visit { task: before, next: 0 });
            }
            Some(Seen::Done) | None => {}
        }
    }
}
