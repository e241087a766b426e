//! What people see: tables and progress on a terminal, with every text made safe to print.

pub mod board;
pub mod calendar;
mod escape;
mod fit;
pub mod gantt;
mod progress;
mod screen;
mod table;

pub use escape::escape;
pub use progress::{Bars, Progress};
pub use screen::Screen;
pub use table::{Column, Table};
