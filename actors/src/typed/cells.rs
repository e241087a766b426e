//! Cells of a record from what serde sees, and the other way round, as the design names and types them.

use super::{TypedError, text, tree::Tree};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    composite::{self, Composite, Home, Parts, VERBATIM},
    fold::{Design, RecordState},
};
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath, RecordId, Value,
    design::{BaseType, FieldType},
};

/// The fields of a list as they are now.
pub(super) struct Shape {
    list: String,
    pub(super) fields: Vec<Field>,
}

/// One field.
pub(super) struct Field {
    pub(super) id: FieldId,
    pub(super) name: String,
    ty: Option<FieldType>,
    /// Names of the values that a choice allows.
    choices: BTreeMap<ElementId, String>,
}

/// Where in a field, and what.
pub(super) type Cells = Vec<(PartPath, Value)>;

impl Shape {
    pub(super) fn of(design: &Design, list: ListId) -> Self {
        let field = |id: FieldId| {
            let choices = design.choices(id).into_iter().map(|choice| (choice, design.name(choice))).collect();
            Field { id, name: design.name(id), ty: design.field_type(id), choices }
        };
        Self { list: design.name(list), fields: design.fields(list).into_iter().map(field).collect() }
    }

    pub(super) fn field(&self, name: &str) -> Result<&Field, TypedError> {
        self.fields.iter().find(|field| field.name == name).ok_or_else(|| TypedError::NoField {
            list: self.list.clone(),
            field: name.into(),
            known: self.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// What a record shows; fields that show nothing are left out.
    pub(super) fn tree(&self, state: &RecordState) -> Result<Tree, TypedError> {
        let mut parts = Vec::new();
        for field in &self.fields {
            let tree = field.tree(state).map_err(|error| error.in_field(&field.name))?;
            if tree != Tree::Nothing {
                parts.push((field.name.clone(), tree));
            }
        }
        Ok(Tree::Parts(parts))
    }
}

impl Field {
    fn base(&self) -> Option<BaseType> {
        self.ty.as_ref().and_then(FieldType::base)
    }

    fn is_many(&self) -> bool {
        self.ty.as_ref().is_some_and(|ty| ty.many)
    }

    fn is_composite(&self) -> bool {
        self.base().is_some_and(BaseType::is_composite)
    }

    /// What the cells of this field show in a record, in the order of their paths.
    fn shown(&self, state: &RecordState) -> Cells {
        let of_it = state.cells.iter().filter(|((field, _), _)| *field == self.id);
        of_it
            .filter_map(|((_, part), siblings)| {
                let value = siblings.first()?.value().filter(|value| *value != Value::Null)?;
                Some((part.clone(), value))
            })
            .collect()
    }

    fn tree(&self, state: &RecordState) -> Result<Tree, TypedError> {
        let mut shown = self.shown(state);
        shown.retain(|(part, value)| self.ty.as_ref().is_none_or(|ty| composite::shows(ty, part, value)));
        if !self.is_many() {
            return self.one(shown.iter().map(|(part, value)| (part.steps().collect::<Vec<_>>(), value)));
        }
        let mut items = Vec::new();
        for key in element_keys(&shown) {
            let of_it = shown.iter().filter(|(part, _)| part.steps().next() == Some(&key));
            let below = of_it.map(|(part, value)| (part.steps().skip(1).collect::<Vec<_>>(), value));
            items.push(self.one(below)?);
        }
        Ok(Tree::Many(items))
    }

    /// One value of the field, from the cells below it.
    fn one<'a>(&self, cells: impl Iterator<Item = (Vec<&'a [u8]>, &'a Value)>) -> Result<Tree, TypedError> {
        let mut parts = Vec::new();
        for (steps, value) in cells {
            match (steps.as_slice(), self.is_composite()) {
                ([], false) => return self.value_tree(value),
                ([], true) => return self.parts_tree(value),
                // What could not be taken apart has no parts.
                ([name], true) if *name == VERBATIM.as_bytes() => {}
                ([name], true) => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    parts.push((name, self.value_tree(value)?));
                }
                _of_another_type_or_deeper => {}
            }
        }
        Ok(if parts.is_empty() { Tree::Nothing } else { Tree::Parts(parts) })
    }

    /// The parts of a string; itself where it has none.
    fn parts_tree(&self, value: &Value) -> Result<Tree, TypedError> {
        let (Value::Text(text), Some(composite)) = (value, self.base().and_then(composite::of)) else {
            return self.value_tree(value);
        };
        let mut parts = Vec::new();
        for part in composite.parts() {
            if let Some(value) = composite.derive(part.name, text) {
                parts.push((part.name.to_owned(), self.value_tree(&value)?));
            }
        }
        if parts.is_empty() { self.value_tree(value) } else { Ok(Tree::Parts(parts)) }
    }

    fn value_tree(&self, value: &Value) -> Result<Tree, TypedError> {
        let beyond = || TypedError::value(format!("{value:?} is beyond what a text can say"));
        Ok(match value {
            Value::Null => Tree::Nothing,
            Value::Bool(value) => Tree::Bool(*value),
            Value::Int(value) => Tree::Int((*value).into()),
            Value::Decimal(value) => Tree::Decimal(*value),
            Value::Float(value) => Tree::Float(*value),
            Value::Text(value) => Tree::Text(value.clone()),
            Value::Date(days) => Tree::Text(text::show_date(*days).ok_or_else(beyond)?),
            Value::DateTime { ms, zone } => Tree::Text(text::show_instant(*ms, zone).ok_or_else(beyond)?),
            Value::Duration { months, ms } => Tree::Text(text::show_duration(*months, *ms).ok_or_else(beyond)?),
            Value::Choice(choice) => {
                Tree::Text(self.choices.get(choice).cloned().unwrap_or_else(|| choice.to_string()))
            }
            Value::Reference { record, .. } => Tree::Id(*record),
            Value::Rank(bytes) | Value::Bytes(bytes) => Tree::Bytes(bytes.clone()),
            Value::Blob { hash, .. } => Tree::Bytes(hash.to_vec()),
            Value::Other { .. } => return Err(TypedError::value("this value needs a newer version".into())),
        })
    }

    /// The cells that make the field show this, and nothing besides. Elements keep their places: the n-th stays the
    /// n-th. `fresh` makes the keys of new ones unique.
    pub(super) fn cells(
        &self,
        tree: Tree,
        state: &RecordState,
        mut fresh: impl FnMut() -> [u8; 6],
    ) -> Result<Cells, TypedError> {
        let shown = self.shown(state);
        let mut cells = Vec::new();
        if self.is_many() {
            let items = match tree {
                Tree::Nothing => Vec::new(),
                Tree::Many(items) => items,
                other => return Err(self.wrong("a list of values", &other)),
            };
            let keys: Vec<Vec<u8>> =
                element_keys(&shown).into_iter().filter(|key| key != VERBATIM.as_bytes()).collect();
            let mut place = keys.last().and_then(|key| key.first_chunk()).map_or(0, |place| u16::from_be_bytes(*place));
            for (index, item) in items.into_iter().enumerate() {
                let key = keys.get(index).cloned().unwrap_or_else(|| {
                    place = if index == 0 { 0 } else { place.saturating_add(1) };
                    [&place.to_be_bytes()[..], &fresh()].concat()
                });
                self.cells_of_one(&[&key], item, &shown, &mut cells)?;
            }
        } else {
            self.cells_of_one(&[], tree, &shown, &mut cells)?;
        }
        let named: BTreeSet<PartPath> = cells.iter().map(|(part, _)| part.clone()).collect();
        let goes = |part: &PartPath| {
            // How somebody wrote what is there counts for as long as it says the same.
            let is_verbatim = part.steps().last() == Some(VERBATIM.as_bytes());
            let stays = || !self.is_many() || named.iter().any(|other| other.steps().next() == part.steps().next());
            !(named.contains(part) || is_verbatim && stays())
        };
        let others = shown.iter().filter(|(part, _)| goes(part));
        cells.extend(others.map(|(part, _)| (part.clone(), Value::Null)));
        for (part, value) in &mut cells {
            if let Some((_, there)) = shown.iter().find(|(at, _)| at == part)
                && is_same_instant(there, value)
            {
                // The zone that texts do not tell is kept.
                *value = there.clone();
            }
        }
        Ok(cells)
    }

    fn cells_of_one(&self, above: &[&[u8]], tree: Tree, shown: &Cells, cells: &mut Cells) -> Result<(), TypedError> {
        if !self.is_composite() {
            let value = self.value(tree)?;
            let part = PartPath::new(above).expect("one step is within the limits");
            cells.push((part, value));
            return Ok(());
        }
        let base = self.base().filter(|base| composite::is_atom(*base));
        if let Some(composite) = base.and_then(composite::of) {
            let part = PartPath::new(above).expect("one step is within the limits");
            let there = shown.iter().find(|(at, _)| *at == part).map(|(_, value)| value);
            let string = self.string(composite, tree, there)?;
            cells.push((part, string));
            return Ok(());
        }
        let parts = match tree {
            Tree::Nothing => Vec::new(),
            Tree::Parts(parts) => parts,
            other => return Err(self.wrong("named parts", &other)),
        };
        // What follows from others is not written.
        let base = self.base().unwrap_or(BaseType::Text);
        let is_cell = |name: &str| {
            let known = composite::part(base, name.as_bytes());
            known.is_none_or(|part| matches!(part.home, Home::Cell | Home::Aside))
        };
        let parts = parts.into_iter().filter(|(name, _)| is_cell(name));
        for (name, part_tree) in parts {
            let steps = above.iter().copied().chain([name.as_bytes()]);
            let part = PartPath::new(steps)
                .ok_or_else(|| TypedError::value(format!("the name of part {name:?} is longer than 64 bytes")))?;
            let value = plain(&part_tree).ok_or_else(|| self.wrong("plain values as parts", &part_tree))?;
            cells.push((part, value));
        }
        Ok(())
    }

    /// The string of a composite whose parts have no cells of their own, from these parts or from itself.
    fn string(&self, composite: &dyn Composite, tree: Tree, there: Option<&Value>) -> Result<Value, TypedError> {
        let there = match there {
            Some(Value::Text(text)) => text.as_str(),
            _nothing => "",
        };
        let wrong = |tree: &Tree| self.wrong(&format!("{}, or its parts", composite.example()), tree);
        let mut parts = Parts::new();
        match &tree {
            Tree::Nothing => return Ok(Value::Null),
            Tree::Text(text) if composite.read(text).is_some() => return Ok(Value::Text(text.clone())),
            Tree::Parts(told) => {
                for part in composite.parts().iter().filter(|part| part.home == Home::Atom) {
                    let of_it = told.iter().find(|(name, value)| name == part.name && *value != Tree::Nothing);
                    let Some((_, value)) = of_it else { continue };
                    let one = Self {
                        id: self.id,
                        name: self.name.clone(),
                        ty: Some(FieldType::one(part.base)),
                        choices: BTreeMap::new(),
                    };
                    parts.insert(part.name, one.value(value.clone())?);
                }
            }
            _other => return Err(wrong(&tree)),
        }
        if !parts.is_empty() && composite.read(there).as_ref() == Some(&parts) {
            return Ok(Value::Text(there.to_owned()));
        }
        let written = composite.write(&parts, there).filter(|text| composite.read(text).unwrap_or_default() == parts);
        written.map(Value::Text).ok_or_else(|| wrong(&tree))
    }

    /// The value that a plain field takes.
    fn value(&self, tree: Tree) -> Result<Value, TypedError> {
        if tree == Tree::Nothing {
            return Ok(Value::Null);
        }
        let Some(base) = self.base() else { return Err(self.wrong("a type of a newer version", &tree)) };
        let value = match (base, &tree) {
            (BaseType::Int, Tree::Int(value)) => i64::try_from(*value).ok().map(Value::Int),
            (BaseType::Float, Tree::Int(value)) => {
                let exact = value.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
                exact.then_some(*value as f64).and_then(Value::float)
            }
            (BaseType::Float, Tree::Float(value)) => Value::float(*value + 0.0),
            (BaseType::Decimal, Tree::Int(value)) => text::read_decimal(&value.to_string()),
            (BaseType::Decimal, Tree::Float(value)) => text::read_decimal(&value.to_string()),
            (BaseType::Decimal, Tree::Text(value)) => text::read_decimal(value),
            (BaseType::Bool, Tree::Bool(value)) => Some(Value::Bool(*value)),
            (BaseType::Text, Tree::Text(value)) => Some(Value::Text(value.clone())),
            (BaseType::Date, Tree::Text(value)) => text::read_date(value),
            (BaseType::DateTime, Tree::Text(value)) => text::read_instant(value),
            (BaseType::Duration, Tree::Text(value)) => text::read_duration(value),
            (BaseType::Choice, Tree::Text(value)) => return self.choice(value),
            (BaseType::Reference, tree) => self.reference(tree),
            (BaseType::Rank, tree) => bytes(tree).map(Value::Rank),
            _other => None,
        };
        value.ok_or_else(|| self.wrong(base.name(), &tree))
    }

    fn choice(&self, name: &str) -> Result<Value, TypedError> {
        let found = self.choices.iter().find(|(id, label)| *label == name || id.to_string() == name);
        found.map(|(id, _)| Value::Choice(*id)).ok_or_else(|| TypedError::NoChoice {
            field: self.name.clone(),
            choice: name.into(),
            known: self.choices.values().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    fn reference(&self, tree: &Tree) -> Option<Value> {
        let list = self.ty.as_ref()?.list?.as_list();
        let record = match tree {
            Tree::Id(id) => *id,
            Tree::Text(text) => text.parse().ok()?,
            other => RecordId(bytes(other)?.try_into().ok()?),
        };
        Some(Value::Reference { list, record })
    }

    fn wrong(&self, expected: &str, got: &Tree) -> TypedError {
        TypedError::Type { field: self.name.clone(), expected: expected.into(), got: got.describe() }
    }
}

/// The keys of a field's elements, in order.
fn element_keys(shown: &Cells) -> BTreeSet<Vec<u8>> {
    shown.iter().filter_map(|(part, _)| part.steps().next().map(<[u8]>::to_vec)).collect()
}

/// The value of a part, whose type nobody says.
fn plain(tree: &Tree) -> Option<Value> {
    match tree {
        Tree::Nothing => Some(Value::Null),
        Tree::Bool(value) => Some(Value::Bool(*value)),
        Tree::Int(value) => i64::try_from(*value).ok().map(Value::Int),
        Tree::Float(value) => Value::float(*value + 0.0),
        Tree::Decimal(value) => Some(Value::Decimal(*value)),
        Tree::Text(value) => Some(Value::Text(value.clone())),
        Tree::Bytes(value) => Some(Value::Bytes(value.clone())),
        Tree::Id(_) | Tree::Many(_) | Tree::Parts(_) => None,
    }
}

/// Bytes, also where serde sees a list of small numbers.
fn bytes(tree: &Tree) -> Option<Vec<u8>> {
    match tree {
        Tree::Bytes(bytes) => Some(bytes.clone()),
        Tree::Many(items) => items
            .iter()
            .map(|item| match item {
                Tree::Int(byte) => u8::try_from(*byte).ok(),
                _no_byte => None,
            })
            .collect(),
        _no_bytes => None,
    }
}

fn is_same_instant(there: &Value, new: &Value) -> bool {
    match (there, new) {
        (Value::DateTime { ms, .. }, Value::DateTime { ms: new_ms, zone }) => ms == new_ms && zone.is_empty(),
        _no_instants => false,
    }
}
