//! What an authority says of an event, case by case.

mod adopted;
mod again;
mod authors;
mod designs;
mod party;
mod rules;
mod several;
mod values;
