//! The arguments of commands for records.

use super::Json;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `tandem import`
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Into which list; made if it does not exist [default: the file's name]
    #[arg(long, value_name = "LIST")]
    pub list: Option<String>,
    /// Show what the columns hold and how they would be read, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Read a column as this type: text, choice, bool, int, decimal, float, date, date:dmy, date:mdy, date-time;
    /// may be given several times
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
    /// Update the record whose FIELD has the row's value, instead of making a new one
    #[arg(long, value_name = "FIELD")]
    pub key: Option<String>,
    /// List and columns have the names that this node has for a server, and every text goes back as it stands; see
    /// `tandem server names`
    #[arg(long, conflicts_with_all = ["types", "decimal_comma"])]
    pub server_names: bool,
    /// Numbers are written 1.234,56
    #[arg(long)]
    pub decimal_comma: bool,
    /// Where to write rows that cannot be read, with line and reason [default: FILE's name + .errors.txt, here]
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
}

/// `tandem export`
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The list
    pub list: String,
    /// The format
    #[arg(long, value_enum)]
    pub format: Format,
    /// The list by the name that this node has for a server, the columns as well, and every text as the server wrote it;
    /// see `tandem server names`
    #[arg(long)]
    pub server_names: bool,
    /// Where to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What [`Export`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for spreadsheets
    Csv,
    /// Records as JSON lines, with everything
    Json,
    /// Contact cards, vCard 4.0
    Vcf,
    /// A calendar, iCalendar 2.0
    Ics,
}

/// `tandem ls`
#[derive(Debug, ClapArgs)]
pub struct Ls {
    /// The list
    pub list: String,
    /// Sort by this field; `name:desc` for the greatest first
    #[arg(long, value_name = "FIELD[:desc]")]
    pub sort: Option<String>,
    /// Only records of which this holds: FIELD=VALUE, or CEL such as `population > 100000 && country == "IR"`; may be
    /// given several times
    #[arg(long = "where", value_name = "EXPR")]
    pub filters: Vec<String>,
    /// Only these fields, in this order [default: those that show something]
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Instead of records, how many of them show each value of this field, most first
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["fields", "sort", "cursor"])]
    pub group: Option<String>,
    /// At most so many records
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Go on where a page with --limit ended
    #[arg(long, value_name = "TOKEN")]
    pub cursor: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem new`
#[derive(Debug, ClapArgs)]
pub struct New {
    /// The list
    pub list: String,
    /// Values; a part is `field.part`, an element `field[1]` or `field[1].part`
    #[arg(value_name = "FIELD=VALUE")]
    pub values: Vec<String>,
    /// Ask for the other values, line by line, as a form of the list has them; so it is anyway on a terminal where none is
    /// given
    #[arg(long)]
    pub ask: bool,
    /// The form [default: the first of the list, or all fields]
    #[arg(long, value_name = "NAME")]
    pub form: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem get`
#[derive(Debug, ClapArgs)]
pub struct Get {
    /// Which
    #[command(flatten)]
    pub one: OneRecord,
    /// Also what refers to it
    #[arg(long)]
    pub backlinks: bool,
}

/// A record, for `tandem get` and `tandem history`
#[derive(Debug, ClapArgs)]
pub struct OneRecord {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem set`
#[derive(Debug, ClapArgs)]
pub struct Set {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
    /// New values; nothing behind the `=` clears the field
    #[arg(value_name = "FIELD=VALUE", required = true)]
    pub values: Vec<String>,
}

/// A record, for `tandem rm` and `tandem restore`
#[derive(Debug, ClapArgs)]
pub struct Named {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
}

/// `tandem undo`
#[derive(Debug, ClapArgs)]
pub struct UndoArgs {
    /// The batch that an import or an undo printed, or an event that `tandem history` shows; the start of it will do
    #[arg(value_name = "BATCH|EVENT")]
    pub what: String,
    /// Output
    #[command(flatten)]
    pub json: Json,
}
