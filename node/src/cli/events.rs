//! Events as people and programs see them.

use super::shown::{named, place_text, step_text, value_json};
use crate::exchange::text_form;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tandem_actors::Handle;
use tandem_storage::fold::{Design, RecordState};
use tandem_wire::{
    Act, AdmitText, DeviceKey, Event, GenesisText, MemberId, Op, OpRef, Target, Value,
    design::{ElementKind, Property},
};

/// An event as `docs/cli.md` documents it; `signed` where it ends its run.
pub fn event_json(event: &Event, signed: bool) -> Json {
    let header = event.header();
    let ops: Vec<Json> = header.ops.iter().enumerate().map(|(index, op)| op_json(event, index, op)).collect();
    json!({
        "id": event.id().to_string(),
        "author": header.chain.device.to_string(),
        "chain": header.chain.number,
        "seq": header.seq,
        "prev": header.prev.map(|id| id.to_string()),
        "deps": header.deps.iter().map(|dep| dep.id.to_string()).collect::<Vec<_>>(),
        "lamport": header.lamport,
        "wall_ms": header.wall_ms,
        "design": header.design.to_string(),
        "signed": signed,
        "batch": header.batch.map(|batch| batch.to_string()),
        "ops": ops,
    })
}

fn op_json(event: &Event, index: usize, op: &Op) -> Json {
    let cell = op.target.cell();
    let record = op.target.record();
    json!({
        "op": op.act.name(),
        "list": record.map(|record| record.list.to_string()),
        "record": record.map(|record| record.record.to_string()),
        "field": cell.map(|cell| cell.field.to_string()),
        "part": cell.map(|cell| cell.part.steps().map(step_text).collect::<Vec<_>>()),
        "value": body_json(event, index, op),
        "pred": op.preds.iter().map(pred_json).collect::<Vec<_>>(),
    })
}

/// The event is named by the half of its id that references carry.
fn pred_json(pred: &OpRef) -> Json {
    json!({
        "author": pred.chain.device.to_string(),
        "chain": pred.chain.number,
        "seq": pred.seq,
        "op": pred.op,
        "event": pred.tag.to_string(),
    })
}

fn body_json(event: &Event, index: usize, op: &Op) -> Json {
    let Some(body) = event.body(index) else { return Json::Null };
    match &op.act {
        Act::Set => event.value(index).map_or(Json::Null, |value| value_json(&value)),
        Act::Put(put) => json!({
            "element": put.element.to_string(),
            "property": Property::from_number(put.property).map_or_else(|| put.property.to_string(), |p| format!("{p:?}").to_lowercase()),
            "value": event.value(index).map(|value| value_json(&value)),
        }),
        Act::Define(define) => json!({
            "element": tandem_wire::ElementId::defined_by(event.id(), index as u16).to_string(),
            "kind": ElementKind::from_number(define.kind).map_or_else(|| define.kind.to_string(), |k| format!("{k:?}").to_lowercase()),
            "parent": define.parent.map(|parent| parent.to_string()),
        }),
        Act::Genesis(_) => postcard_text::<GenesisText>(body)
            .map_or(Json::Null, |names| json!({ "workspace": names.workspace, "member": names.member })),
        Act::Admit(admit) => json!({
            "device": admit.device.to_string(),
            "role": format!("{:?}", admit.role).to_lowercase(),
            "name": postcard_text::<AdmitText>(body).map(|text| text.member),
        }),
        _others if body.is_empty() => Json::Null,
        _others => json!(text_form::show(&Value::Bytes(body.to_vec()))),
    }
}

fn postcard_text<T: for<'de> serde::Deserialize<'de>>(body: &[u8]) -> Option<T> {
    postcard::from_bytes(body).ok()
}

/// The names of devices.
pub struct Authors {
    devices: BTreeMap<DeviceKey, String>,
    people: BTreeMap<MemberId, String>,
}

impl Authors {
    /// Of a workspace's members.
    pub fn of(workspace: &Handle) -> Self {
        let members = workspace.members();
        let people = members.iter().filter_map(|info| Some((info.member?, info.name.clone()))).collect();
        Self { devices: members.into_iter().map(|info| (info.device, info.name)).collect(), people }
    }

    /// A device's name, or the start of its key.
    pub fn name(&self, device: DeviceKey) -> String {
        match self.devices.get(&device) {
            Some(name) if !name.is_empty() => name.clone(),
            _unnamed => device.to_string()[..8].to_owned(),
        }
    }

    /// A person's name, or the start of their id.
    pub fn person(&self, member: MemberId) -> String {
        self.people.get(&member).cloned().unwrap_or_else(|| member.to_string()[..8].to_owned())
    }
}

/// The author's clock as people read it, in UTC.
pub fn when(wall_ms: u64) -> String {
    let instant = i64::try_from(wall_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    instant.map_or_else(|| format!("{wall_ms} ms"), |instant| instant.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// What an event does, on one line.
pub fn summary(design: &Design, event: &Event) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for op in &event.header().ops {
        match counts.last_mut() {
            Some((name, count)) if *name == op.act.name() => *count += 1,
            _other => counts.push((op.act.name(), 1)),
        }
    }
    let ops: Vec<String> = counts
        .iter()
        .map(|(name, count)| if *count == 1 { (*name).into() } else { format!("{name} ×{count}") })
        .collect();
    let list = event.header().ops.iter().find_map(|op| op.target.record()).map(|record| design.name(record.list));
    match list {
        Some(list) => format!("{}: {}", list, ops.join(", ")),
        None => ops.join(", "),
    }
}

/// What an event does to a record, a line for each op.
pub fn changes(design: &Design, state: &RecordState, event: &Event, target: tandem_wire::RecordKey) -> Vec<String> {
    let ops = event.header().ops.iter().enumerate().filter(|(_, op)| op.target.record() == Some(target));
    let line = |(index, op): (usize, &Op)| match (&op.act, &op.target) {
        (Act::Set, Target::Cell(cell)) => {
            let value =
                event.value(index).map_or_else(|| "(removed)".into(), |value| text_form::show(&named(design, value)));
            let place = place_text(design, state, cell.field, &cell.part);
            if value.is_empty() { format!("clear {place}") } else { format!("set {place} = {value}") }
        }
        (act, _) => act.name().to_owned(),
    };
    ops.map(line).collect()
}
