//! From a file to the steps that make a workspace's design what it says.

use super::{
    DesignFault,
    check::check,
    keys::{Key, Matched},
    spec::DesignFile,
    wanted::Wanted,
};
use crate::fold::{
    Design,
    design::{Element, PropertyValue},
};
use std::collections::BTreeMap;
use tandem_wire::{
    ChainId, DeviceKey, ElementId, EventTag, OpRef, Value,
    design::{ElementKind, Property},
};

/// What a file asks of a design.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The elements to define first, those that others are part of before these.
    pub defines: Vec<Key>,
    /// The design as it will be; new elements have ids of their own here.
    pub next: Design,
    puts: Puts,
}

/// A file's elements, and what they are compared with.
#[derive(Debug, Clone)]
struct OfFile {
    matched: Matched,
    before: Design,
    file: DesignFile,
}

/// Where the properties come from.
#[derive(Debug, Clone)]
enum Puts {
    /// A file, of which the elements were found or are new.
    File(Box<OfFile>),
    /// An earlier design.
    Fixed(Vec<(ElementId, Property, Value)>),
}

impl Plan {
    /// Compares a file with a design. Everything that is wrong with the file is told, each with its place.
    pub fn make(design: &Design, file: &DesignFile) -> Result<Self, Vec<DesignFault>> {
        let matched = Matched::of(design, file)?;
        let mut next = design.clone();
        let ids = |key: &Key| matched.id(key).unwrap_or_else(|| key.stand_in());
        for key in &matched.new {
            let parent = key.parent().map(|parent| ids(&parent));
            next.elements.insert(ids(key), element(key.kind, parent));
        }
        let wanted = Wanted::of(design, file, &ids)?;
        for (element, property, value) in differing(&next, wanted).into_iter().chain(matched.drops()) {
            let known = next.elements.get_mut(&element).expect("all of them were matched or defined");
            known.properties.insert(property.number(), PropertyValue { value: Some(value.encode()), by: nobody() });
        }
        let faults = check(&next);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (before, file, defines) = (design.clone(), file.clone(), matched.new.clone());
        Ok(Self { defines, next, puts: Puts::File(Box::new(OfFile { matched, before, file })) })
    }

    /// The way back to an earlier design: every element of that is as it was, and what is newer is dropped.
    pub fn back(design: &Design, earlier: &Design) -> Result<Self, Vec<DesignFault>> {
        let mut puts = Vec::new();
        for (id, element) in &design.elements {
            match earlier.elements.get(id) {
                Some(before) => {
                    let properties = Property::ALL
                        .into_iter()
                        .filter(|property| element.property(*property) != before.property(*property));
                    puts.extend(properties.map(|it| (*id, it, before.property(it).unwrap_or(Value::Null))));
                }
                None if !element.is_dropped() => puts.push((*id, Property::Dropped, Value::Bool(true))),
                None => {}
            }
        }
        let mut next = design.clone();
        for (id, property, value) in &puts {
            let known = next.elements.get_mut(id).expect("its own");
            known.properties.insert(property.number(), PropertyValue { value: Some(value.encode()), by: nobody() });
        }
        let faults = check(&next);
        if faults.is_empty() { Ok(Self { defines: Vec::new(), next, puts: Puts::Fixed(puts) }) } else { Err(faults) }
    }

    /// Whether the design is already what the file says.
    pub fn is_empty(&self) -> bool {
        self.defines.is_empty() && self.puts(&BTreeMap::new()).is_empty()
    }

    /// The element that a key stands for, where that is there already.
    pub fn known(&self, key: &Key) -> Option<ElementId> {
        match &self.puts {
            Puts::File(of) => of.matched.id(key),
            Puts::Fixed(_) => None,
        }
    }

    /// The properties to put, once the new elements are defined.
    pub fn puts(&self, defined: &BTreeMap<Key, ElementId>) -> Vec<(ElementId, Property, Value)> {
        match &self.puts {
            Puts::Fixed(puts) => puts.clone(),
            Puts::File(of) => {
                let OfFile { matched, before, file } = &**of;
                let new = |key: &Key| defined.get(key).copied().unwrap_or_else(|| key.stand_in());
                let ids = |key: &Key| matched.id(key).unwrap_or_else(|| new(key));
                let wanted = Wanted::of(before, file, &ids).expect("the file was checked");
                differing(before, wanted).into_iter().chain(matched.drops()).collect()
            }
        }
    }
}

/// Those that the design does not have like this.
fn differing(design: &Design, wanted: Wanted) -> Vec<(ElementId, Property, Value)> {
    let differs = |(element, property, value): &(ElementId, Property, Value)| {
        let present = design.elements.get(element).and_then(|element| element.property(*property));
        !is_alike(*property, present.as_ref(), value)
    };
    wanted.0.into_iter().filter(differs).collect()
}

/// Whether a property that was never put is the same as what it is to be.
fn is_alike(property: Property, present: Option<&Value>, wanted: &Value) -> bool {
    match present {
        Some(present) => present == wanted || (is_nothing(property, present) && is_nothing(property, wanted)),
        None => is_nothing(property, wanted),
    }
}

/// Whether a property with this value asks for nothing, as if it had never been put.
pub(super) fn is_nothing(property: Property, value: &Value) -> bool {
    let is_a_value = matches!(property, Property::Default | Property::Min | Property::Max);
    match value {
        Value::Null => true,
        Value::Bool(false) | Value::Int(0) => !is_a_value,
        Value::Text(text) => text.is_empty() && !is_a_value,
        _something => false,
    }
}

fn element(kind: ElementKind, parent: Option<ElementId>) -> Element {
    Element { kind: kind.number(), parent, by: nobody(), properties: BTreeMap::new() }
}

/// Of steps that nobody has taken yet.
fn nobody() -> OpRef {
    let chain = ChainId { device: DeviceKey([0; 32]), number: 0 };
    OpRef { chain, seq: 0, op: 0, tag: EventTag([0; 16]) }
}
