//! What a design asks of a field's values besides their type: a range, a pattern, and what becomes of references.
//!
//! Nodes apart cannot hold each other to it: an authority refuses what breaks it.

use crate::{
    filter::pattern,
    fold::Design,
    sort_order::{compare, kind},
};
use regex::Regex;
use std::cmp::Ordering;
use tandem_wire::{
    FieldId, ListId, Value,
    design::{BaseType, Property},
};

/// What may be in a field.
#[derive(Debug)]
pub struct Constraint {
    min: Option<Value>,
    max: Option<Value>,
    /// Or why it cannot be used.
    pattern: Option<Result<Regex, String>>,
}

/// How a value breaks a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// It is below the least value.
    TooSmall,
    /// It is above the greatest.
    TooLarge,
    /// The pattern is not found in it.
    Pattern,
    /// The pattern itself is none that this node can use, and why.
    BadPattern(String),
}

impl Constraint {
    /// Of a field; none where its values are free.
    pub fn of(design: &Design, field: FieldId) -> Option<Self> {
        let element = design.elements.get(&field.into())?;
        let bound = |property| element.property(property).filter(|value| *value != Value::Null);
        let pattern = match element.property(Property::Pattern) {
            Some(Value::Text(text)) if !text.is_empty() => Some(pattern::compile(&text)),
            _none => None,
        };
        let (min, max) = (bound(Property::Min), bound(Property::Max));
        let asks = min.is_some() || max.is_some() || pattern.is_some();
        asks.then_some(Self { min, max, pattern })
    }

    /// How a value breaks it, if it does. Nothing at all breaks nothing.
    pub fn breach(&self, value: &Value) -> Option<Breach> {
        if *value == Value::Null {
            return None;
        }
        // A bound of another kind, from before the field got its type, bounds nothing.
        let is = |bound: &Option<Value>, order| {
            bound.as_ref().is_some_and(|bound| kind(value) == kind(bound) && compare(value, bound) == order)
        };
        if is(&self.min, Ordering::Less) {
            return Some(Breach::TooSmall);
        }
        if is(&self.max, Ordering::Greater) {
            return Some(Breach::TooLarge);
        }
        match (&self.pattern, value) {
            (Some(Ok(pattern)), Value::Text(text)) if !pattern.is_match(text) => Some(Breach::Pattern),
            (Some(Err(why)), Value::Text(_)) => Some(Breach::BadPattern(why.clone())),
            _kept => None,
        }
    }
}

/// Whether a pattern can be one; if not, why.
pub fn check_pattern(text: &str) -> Result<(), String> {
    pattern::compile(text).map(drop)
}

/// What becomes of references to a record that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// It is not removed while there are any.
    Restrict,
    /// They are cleared.
    SetNull,
}

impl OnDelete {
    /// Its name, as the design has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restrict => "restrict",
            Self::SetNull => "set-null",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Restrict, Self::SetNull].into_iter().find(|on_delete| on_delete.name() == name)
    }

    /// Of a field; none where references may be left over.
    pub fn of(design: &Design, field: FieldId) -> Option<Self> {
        match design.elements.get(&field.into())?.property(Property::OnDelete)? {
            Value::Text(name) => Self::named(&name),
            _none => None,
        }
    }

    /// The fields that refer to records of `list`, and what becomes of their references.
    pub fn of_references_to(design: &Design, list: ListId) -> Vec<(ListId, FieldId, Self)> {
        let mut found = Vec::new();
        for from in design.lists() {
            for field in design.fields(from) {
                let refers = design.field_type(field).is_some_and(|ty| {
                    ty.base() == Some(BaseType::Reference) && ty.list.is_none_or(|to| to == list.into())
                });
                if let Some(on_delete) = Self::of(design, field).filter(|_| refers) {
                    found.push((from, field, on_delete));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::design::{Element, PropertyValue};
    use tandem_wire::{ChainId, DeviceKey, ElementId, EventTag, OpRef, design::ElementKind};

    fn constraint(properties: &[(Property, Value)]) -> Option<Constraint> {
        let field = FieldId([1; 16]);
        let mut design = Design::default();
        let chain = ChainId { device: DeviceKey([1; 32]), number: 0 };
        let by = OpRef { chain, seq: 0, op: 0, tag: EventTag([0; 16]) };
        let value = |value: &Value| PropertyValue { value: Some(value.encode()), by };
        let properties = properties.iter().map(|(property, of)| (property.number(), value(of))).collect();
        let (kind, parent) = (ElementKind::Field.number(), Some(ElementId([9; 16])));
        design.elements.insert(field.into(), Element { kind, parent, by, properties });
        Constraint::of(&design, field)
    }

    #[test]
    fn ranges_hold_for_every_kind_of_number_and_patterns_for_texts() {
        let check = |properties: &[(Property, Value)], value: Value, expect: Option<Breach>| {
            assert_eq!(constraint(properties).unwrap().breach(&value), expect, "{properties:?} {value:?}");
        };
        let range = [(Property::Min, Value::Int(0)), (Property::Max, Value::Float(1.5))];
        check(&range, Value::Int(-1), Some(Breach::TooSmall));
        check(&range, Value::Int(0), None);
        check(&range, Value::Float(1.5), None);
        check(&range, Value::Int(2), Some(Breach::TooLarge));
        check(&range, Value::Null, None);
        check(&range, Value::Text("x".into()), None);
        let pattern = [(Property::Pattern, Value::Text("^[a-z]+$".into()))];
        check(&pattern, Value::Text("abc".into()), None);
        check(&pattern, Value::Text("abC".into()), Some(Breach::Pattern));
        check(&pattern, Value::Int(1), None);
        let bad = constraint(&[(Property::Pattern, Value::Text("(".into()))]).unwrap();
        assert!(matches!(bad.breach(&Value::Text("x".into())), Some(Breach::BadPattern(_))));
        assert!(constraint(&[(Property::Min, Value::Null), (Property::Pattern, Value::Text(String::new()))]).is_none());
        assert!(constraint(&[]).is_none());
    }
}
