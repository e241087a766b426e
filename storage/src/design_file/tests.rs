//! Files, plans and exports, with the bad input of each kind.

use super::*;
use crate::{fold::Design, fold::RecordState, lens::StateCells};
use serde_json::{Value as Json, json};
use tandem_wire::{FieldId, ListId, PartPath, Value};

fn file(lists: Json) -> DesignFile {
    serde_json::from_value(json!({ "format": 1, "list": lists })).unwrap()
}

fn tasks() -> Json {
    json!([
        { "name": "People", "field": [{ "name": "Name", "type": "text", "required": true }] },
        {
            "name": "Tasks",
            "failing_percent": 5,
            "field": [
                { "name": "Title", "type": "text", "required": true, "pattern": "\\S" },
                { "name": "Status", "type": "choice", "choices": ["open", "done"], "default": "open", "indexed": true },
                { "name": "Start", "type": "date", "min": "2000-01-01" },
                { "name": "Due", "type": "date" },
                { "name": "Owner", "type": "reference", "list": "People", "on_delete": "set-null" },
                { "name": "Late", "type": "bool" },
                { "name": "Closed by", "type": "text" }
            ],
            "view": [
                { "name": "Mine", "sort": "Due", "columns": ["Title", "Due"], "filter": "`Closed by` == me" },
                { "name": "Board", "kind": "board", "group": "Status" },
                { "name": "Plan", "kind": "gantt", "start": "Start", "end": "Due" }
            ],
            "form": [{ "name": "New", "section": [
                { "title": "What", "fields": ["Title", { "name": "Due", "when": "Status == \"open\"" }] }
            ]}],
            "rule": [
                { "name": "order", "check": "Start == null || Due == null || Start <= Due", "message": "it ends before it begins",
                  "field": "Due", "example": [
                    { "record": { "Start": "2024-05-01", "Due": "2024-05-02" }, "holds": true },
                    { "record": { "Start": "2024-05-03", "Due": "2024-05-02" }, "holds": false }
                ]},
                { "name": "late", "kind": "computed", "field": "Late", "value": "Status == \"open\" && Due < \"2024-06-01\"",
                  "example": [{ "record": { "Status": "open", "Due": "2024-05-02" }, "gives": true }] },
                { "name": "close", "kind": "workflow", "when": "Status == \"done\" && before.Status != \"done\"",
                  "set": { "Closed by": "author" } }
            ]
        }
    ])
}

fn next(design: &Design, lists: Json) -> Design {
    Plan::make(design, &file(lists)).unwrap().next
}

fn faults(lists: Json) -> Vec<String> {
    let faults = Plan::make(&Design::default(), &file(lists)).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

/// The tasks with the part at `pointer` made another.
fn altered(pointer: &str, with: Json) -> Json {
    let mut lists = tasks();
    *lists.pointer_mut(pointer).unwrap() = with;
    lists
}

fn named(design: &Design, list: &str, field: &str) -> (ListId, FieldId) {
    let list = design.lists().find(|of| design.name(*of) == list).unwrap();
    (list, design.fields(list).into_iter().find(|of| design.name(*of) == field).unwrap())
}

#[test]
fn a_file_becomes_a_design_and_that_the_file_again() {
    let design = next(&Design::default(), tasks());
    assert!(check(&design).is_empty());
    let exported = export(&design);
    assert_eq!(exported, file(tasks()));
    let again = Plan::make(&design, &exported).unwrap();
    assert!(again.is_empty(), "{:?}", again.puts(&Default::default()));
    assert!(differences(&design, &again.next).is_empty());
}

#[test]
fn what_is_called_otherwise_is_the_same_element() {
    let design = next(&Design::default(), tasks());
    let (_, due) = named(&design, "Tasks", "Due");
    let mut file = export(&design);
    let tasks = &mut file.lists[1];
    (tasks.name, tasks.was) = ("Jobs".into(), Some("Tasks".into()));
    (tasks.fields[3].name, tasks.fields[3].was) = ("Until".into(), Some("Due".into()));
    tasks.views.clear();
    tasks.forms.clear();
    tasks.rules.clear();
    let plan = Plan::make(&design, &file).unwrap();
    assert!(plan.defines.is_empty());
    assert_eq!(named(&plan.next, "Jobs", "Until").1, due);
    let told: Vec<String> =
        differences(&design, &plan.next).iter().map(|it| format!("{:?} {} {}", it.kind, it.place, it.what)).collect();
    assert!(told.contains(&"Changed field Jobs.Until was Due".into()), "{told:?}");
    assert!(told.contains(&"Changed list Jobs was Tasks".into()), "{told:?}");
    assert!(told.contains(&"Dropped view Jobs.Mine ".into()), "{told:?}");
}

#[test]
fn sources_follow_their_fields_names() {
    let design = next(&Design::default(), tasks());
    let mut file = export(&design);
    let tasks = &mut file.lists[1];
    (tasks.fields[3].name, tasks.fields[3].was) = ("Due day".into(), Some("Due".into()));
    tasks.views[0].sort = Some("Due day".into());
    tasks.views[0].columns[1] = "Due day".into();
    tasks.views[2].end = Some("Due day".into());
    tasks.forms[0].sections[0].fields.pop();
    tasks.rules.truncate(1);
    tasks.rules[0].check = Some("Start == null || `Due day` == null || Start <= `Due day`".into());
    tasks.rules[0].field = Some("Due day".into());
    for example in &mut tasks.rules[0].examples {
        let due = example.record.remove("Due").unwrap();
        example.record.insert("Due day".into(), due);
    }
    let renamed = Plan::make(&design, &file).unwrap().next;
    assert_eq!(export(&renamed).lists[1].rules[0].check, file.lists[1].rules[0].check);
}

#[test]
fn a_dropped_field_comes_back_under_its_name() {
    let design = next(&Design::default(), tasks());
    let (_, field) = named(&design, "Tasks", "Late");
    let mut without = export(&design);
    without.lists[1].fields.remove(5);
    without.lists[1].rules.remove(1);
    let dropped = Plan::make(&design, &without).unwrap().next;
    assert!(dropped.elements[&field.into()].is_dropped());
    let back = Plan::make(&dropped, &file(tasks())).unwrap();
    assert!(back.defines.is_empty());
    assert_eq!(named(&back.next, "Tasks", "Late").1, field);
}

#[test]
fn choices_are_renamed_and_merged() {
    let design = next(&Design::default(), tasks());
    let lists = altered("/1/field/1/choices", json!([{ "name": "to do", "was": ["open", "done"] }]));
    let mut lists = lists;
    *lists.pointer_mut("/1/field/1/default").unwrap() = json!("to do");
    for rule in [2, 1] {
        lists.pointer_mut("/1/rule").unwrap().as_array_mut().unwrap().remove(rule);
    }
    lists.pointer_mut("/1/form").unwrap().as_array_mut().unwrap().clear();
    let plan = Plan::make(&design, &file(lists)).unwrap();
    assert!(plan.defines.is_empty());
    let (_, status) = named(&plan.next, "Tasks", "Status");
    let choices = plan.next.choices(status);
    assert_eq!(choices.iter().map(|choice| plan.next.name(*choice)).collect::<Vec<_>>(), ["to do"]);
    let done = design.choices(status)[1];
    assert_eq!(plan.next.lenses().value(status, &Value::Choice(done)), Value::Choice(choices[0]));
}

#[test]
fn what_cannot_be_meant_is_told_with_its_place() {
    let check = |pointer: &str, with: Json, expect: &str| {
        let told = faults(altered(pointer, with));
        assert!(told.iter().any(|fault| fault.contains(expect)), "{expect}: {told:?}");
    };
    check("/1/field/3/name", json!("Start"), "field Tasks.Start: is the name of two");
    check("/1/field/3/name", json!(" "), "a name is empty");
    check("/1/field/3/name", json!("a\u{1b}b"), "control character");
    check("/1/field/3/type", json!("dat"), "field Tasks.Due: there is no type \"dat\"");
    check("/1/field/4/list", json!("Persons"), "field Tasks.Owner: it refers to the list \"Persons\"");
    check("/1/field/4/on_delete", json!("cascade"), "on_delete is `restrict` or `set-null`");
    check("/1/field/0/pattern", json!("("), "field Tasks.Title: its pattern cannot be used");
    check("/1/field/2/min", json!("soon"), "field Tasks.Start: its min is no date");
    check("/1/field/1/default", json!("closed"), "field Tasks.Status: its default is no choice");
    check("/1/view/0/sort", json!("Dew"), "view Tasks.Mine: there is no field \"Dew\"");
    check("/1/view/0/filter", json!("Dew == me"), "view Tasks.Mine: its filter");
    check("/1/view/1/group", Json::Null, "view Tasks.Board: a board needs a `group`");
    check("/1/form/0/section/0/fields/1/when", json!("Status =="), "form Tasks.New: its condition");
    check("/1/rule/0/check", json!("Start <= Dew"), "rule Tasks.order: ");
    check("/1/rule/0/check", Json::Null, "rule Tasks.order: ");
    check("/1/rule/0/message", json!(""), "rule Tasks.order: it needs a `message`");
    check("/1/rule/0/example/0/holds", json!(false), "rule Tasks.order: its example 1 comes out otherwise: it holds");
    check("/1/rule/1/value", json!("Late"), "field Tasks.Late: it is computed from itself");
    check("/1/rule/1/value", json!("created > \"2024-01-01\""), "rule Tasks.late: ");
    check("/1/rule/2/set", json!({ "Status": "\"done\"" }), "rule Tasks.close: it sets what it waits for");
    let costly = vec!["Title.contains(Title)"; 2_000].join(" || ");
    check("/1/rule/0/check", json!(costly), "rule Tasks.order: ");
}

#[test]
fn a_default_that_breaks_its_own_rule_is_told() {
    let mut lists = tasks();
    lists[1]["field"][2]["default"] = json!("1999-12-31");
    assert!(faults(lists).iter().any(|fault| fault.starts_with("field Tasks.Start: its default")));
    let mut lists = tasks();
    lists[1]["rule"][0]["check"] = json!("Status == \"done\"");
    lists[1]["rule"][0]["example"] = json!([]);
    assert!(faults(lists).iter().any(|fault| fault.starts_with("rule Tasks.order: the defaults")));
}

#[test]
fn workflows_that_set_each_other_off_are_told() {
    let mut lists = tasks();
    lists[1]["rule"][2]["set"] = json!({ "Title": "\"x\"" });
    let other =
        json!({ "name": "back", "kind": "workflow", "when": "Title == \"x\"", "set": { "Status": "\"open\"" } });
    lists[1]["rule"].as_array_mut().unwrap().push(other);
    let told = faults(lists);
    assert_eq!(told.iter().filter(|fault| fault.contains("it would trigger itself")).count(), 2, "{told:?}");
}

#[test]
fn fields_computed_from_each_other_are_told() {
    let mut lists = tasks();
    lists[1]["rule"][1]["value"] = json!("`Closed by` == \"x\"");
    lists[1]["rule"][1]["example"] = json!([]);
    let other = json!({ "name": "by", "kind": "computed", "field": "Closed by", "value": "Late ? \"a\" : \"b\"" });
    lists[1]["rule"].as_array_mut().unwrap().push(other);
    assert_eq!(faults(lists).iter().filter(|fault| fault.contains("it is computed from itself")).count(), 2);
}

#[test]
fn another_format_is_not_guessed_at() {
    let file = DesignFile { format: 2, description: String::new(), lists: Vec::new() };
    let told = Plan::make(&Design::default(), &file).unwrap_err();
    assert_eq!(told[0].to_string(), "the file: format is 2, and this version reads 1");
    assert!(serde_json::from_value::<DesignFile>(json!({ "format": 1, "lists": [] })).is_err());
}

#[test]
fn a_computed_field_shows_what_its_rule_says() {
    let design = next(&Design::default(), tasks());
    let (_, late) = named(&design, "Tasks", "Late");
    let state = RecordState::default();
    let shown = design.lenses().shown(&StateCells(&state), late, &PartPath::default());
    // The status is open by default; no day it is due.
    assert_eq!(shown.as_deref(), Some(&Value::Bool(false).encode()[..]));
}
