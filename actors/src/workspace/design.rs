//! Commands about the design, as steps in control events.
//!
//! The id of an element comes from the event that defines it, so what refers to it has to be in a later event: a list
//! is defined first, then its fields, then what they are called and hold.

use super::{
    check,
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
};
use crate::command::{Committed, NameKind, Refused};
use std::sync::Arc;
use tandem_storage::{EngineError, engine::Read, index::ViewDefinition};
use tandem_wire::{
    Act, Define, ElementId, Event, FieldId, ListId, Malformed, Op, Put, Target, Value,
    design::{ElementKind, FieldType, Property},
};

/// Ops of one event: names and types are small, so that these always fit.
const STEPS_PER_EVENT: usize = 128;

pub(super) fn create_list<R: Read>(draft: &mut Draft<'_, R>, name: &str, fields: &[(String, FieldType)]) -> Decided {
    let design = draft.fold.design().clone();
    let taken: Vec<String> = design.lists().map(|list| design.name(list)).collect();
    let checked = check::name(NameKind::List, name, taken.iter().map(String::as_str));
    if let Err(refused) = checked.and_then(|()| check_fields(fields, &[])) {
        return Ok(Err(refused));
    }
    let mut steps = Steps { draft, committed: Committed::default() };
    let first = match steps.add(vec![define(ElementKind::List, None)])? {
        Ok(event) => event,
        Err(why) => return Ok(Err(too_large(why))),
    };
    let list = ElementId::defined_by(first.id(), 0);
    steps.committed.elements.push(list);
    let named = put_op(list, Property::Name, &Value::Text(name.into()));
    steps.define_fields(list, fields, 0, vec![named])?;
    Ok(Ok(steps.committed))
}

pub(super) fn add_fields<R: Read>(draft: &mut Draft<'_, R>, list: ListId, fields: &[(String, FieldType)]) -> Decided {
    let design = draft.fold.design().clone();
    let present = design.fields(list);
    let taken: Vec<String> = present.iter().map(|field| design.name(*field)).collect();
    if let Err(refused) = check::list(&design, list).and_then(|()| check_fields(fields, &taken)) {
        return Ok(Err(refused));
    }
    let mut steps = Steps { draft, committed: Committed::default() };
    steps.define_fields(list.into(), fields, present.len(), Vec::new())?;
    Ok(Ok(steps.committed))
}

pub(super) fn create_view<R: Read>(
    draft: &mut Draft<'_, R>,
    list: ListId,
    name: &str,
    definition: &ViewDefinition,
) -> Decided {
    let design = draft.fold.design().clone();
    let checked = check::list(&design, list).and_then(|()| check::name(NameKind::Field, name, std::iter::empty()));
    if let Err(refused) = checked.and_then(|()| check::view(&design, list, definition)) {
        return Ok(Err(refused));
    }
    let mut steps = Steps { draft, committed: Committed::default() };
    let event = steps.add(vec![define(ElementKind::View, Some(list.into()))])?.expect("a small op fits");
    let view = ElementId::defined_by(event.id(), 0);
    steps.committed.elements.push(view);
    let named = put_op(view, Property::Name, &Value::Text(name.into()));
    let defined = put_op(view, Property::Definition, &definition.to_value());
    Ok(match steps.add(vec![named, defined])? {
        Ok(_) => Ok(steps.committed),
        Err(why) => Err(too_large(why)),
    })
}

pub(super) fn add_choices<R: Read>(draft: &mut Draft<'_, R>, field: FieldId, choices: &[String]) -> Decided {
    let design = draft.fold.design().clone();
    let present = design.choices(field);
    let taken: Vec<String> = present.iter().map(|choice| design.name(*choice)).collect();
    if let Err(refused) = check::choice_field(&design, field) {
        return Ok(Err(refused));
    }
    let mut added: Vec<&String> = Vec::new();
    for name in choices.iter().filter(|name| !taken.contains(name)) {
        if let Err(refused) = check::name(NameKind::Choice, name, added.iter().map(|name| name.as_str())) {
            return Ok(Err(refused));
        }
        added.push(name);
    }
    let mut steps = Steps { draft, committed: Committed::default() };
    let named = added.into_iter().map(|name| vec![(Property::Name, Value::Text(name.clone()))]).collect();
    steps.define(ElementKind::Choice, field.into(), named, present.len(), Vec::new())?;
    Ok(Ok(steps.committed))
}

pub(super) fn put<R: Read>(draft: &mut Draft<'_, R>, element: ElementId, property: Property, value: &Value) -> Decided {
    let design = draft.fold.design();
    let Some(known) = design.elements.get(&element) else { return Ok(Err(Refused::UnknownElement(element))) };
    if known.property(property).as_ref() == Some(value) {
        return Ok(Ok(Committed::default()));
    }
    if let Err(refused) = check::property(design, element, property, value) {
        return Ok(Err(refused));
    }
    Ok(match draft.add(vec![put_op(element, property, value)], Shared::default())? {
        Ok(event) => Ok(Committed { events: vec![event.id()], ..Committed::default() }),
        Err(why) => Err(too_large(why)),
    })
}

fn check_fields(fields: &[(String, FieldType)], taken: &[String]) -> Result<(), Refused> {
    for (index, (name, _)) in fields.iter().enumerate() {
        let before = fields[..index].iter().map(|(name, _)| name).chain(taken);
        check::name(NameKind::Field, name, before.map(String::as_str))?;
    }
    Ok(())
}

/// Several events of one command.
struct Steps<'a, 'b, R: Read> {
    draft: &'a mut Draft<'b, R>,
    committed: Committed,
}

impl<R: Read> Steps<'_, '_, R> {
    /// Defines fields behind `present` others, then does `puts` and those of the fields.
    fn define_fields(
        &mut self,
        list: ElementId,
        fields: &[(String, FieldType)],
        present: usize,
        puts: Vec<OpWithBody>,
    ) -> Result<(), EngineError> {
        let properties = fields.iter().map(|(name, field_type)| {
            vec![(Property::Name, Value::Text(name.clone())), (Property::Type, field_type.to_value())]
        });
        self.define(ElementKind::Field, list, properties.collect(), present, puts)
    }

    /// Defines children of `parent` behind `present` others, each with its properties, then does `puts` and those.
    fn define(
        &mut self,
        kind: ElementKind,
        parent: ElementId,
        children: Vec<Vec<(Property, Value)>>,
        present: usize,
        mut puts: Vec<OpWithBody>,
    ) -> Result<(), EngineError> {
        for (chunk_index, chunk) in children.chunks(STEPS_PER_EVENT).enumerate() {
            let event = self.add(chunk.iter().map(|_| define(kind, Some(parent))).collect())?.expect("small ops fit");
            for (index, properties) in chunk.iter().enumerate() {
                let child = ElementId::defined_by(event.id(), index as u16);
                self.committed.elements.push(child);
                let place = (present + chunk_index * STEPS_PER_EVENT + index) as u32;
                puts.extend(properties.iter().map(|(property, value)| put_op(child, *property, value)));
                puts.push(put_op(child, Property::Order, &Value::Rank(place.to_be_bytes().to_vec())));
            }
        }
        for chunk in puts.chunks(STEPS_PER_EVENT) {
            self.add(chunk.to_vec())?.expect("small ops fit");
        }
        Ok(())
    }

    fn add(&mut self, ops: Vec<OpWithBody>) -> Result<Result<Arc<Event>, Malformed>, EngineError> {
        let added = self.draft.add(ops, Shared::default())?;
        self.committed.events.extend(added.iter().map(|event| event.id()));
        Ok(added)
    }
}

pub(super) fn define(kind: ElementKind, parent: Option<ElementId>) -> OpWithBody {
    let act = Act::Define(Box::new(Define { kind: kind.number(), parent }));
    (Op { target: Target::Workspace, preds: vec![], act }, Vec::new())
}

pub(super) fn put_op(element: ElementId, property: Property, value: &Value) -> OpWithBody {
    let act = Act::Put(Box::new(Put { element, property: property.number() }));
    (Op { target: Target::Workspace, preds: vec![], act }, value.encode())
}
