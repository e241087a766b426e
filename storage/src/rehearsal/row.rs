//! What a new design makes of one record.

/// What came of it. Whether it fails is told by what is newly raw or newly broken: what was so before is no fault of the
/// new design.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowOutcome {
    /// It shows something else than before.
    pub(super) changed: bool,
    /// Values that the new types cannot hold: the field, and the value as a text.
    pub(super) raw: Vec<(String, String)>,
    /// What it newly breaks: the rule, and what is said of it.
    pub(super) broken: Vec<(String, String)>,
    /// Warnings that it newly gets.
    pub(super) warnings: u64,
    /// Rules that could not be evaluated.
    pub(super) unchecked: u64,
    /// Conditions of views and forms that could not be decided.
    pub(super) undecided: u64,
}

impl RowOutcome {
    pub(super) fn fails(&self) -> bool {
        !self.raw.is_empty() || !self.broken.is_empty()
    }
}
