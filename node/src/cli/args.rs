//! What can be asked on the command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A local-first database for groups: every member keeps a full copy, works offline, and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100)]
pub struct Args {
    /// Folder of the node's data [default: the platform's place for data]
    #[arg(long, global = true, value_name = "DIR", env = "TANDEM_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: tandem.toml in the data folder, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Workspace, by name or start of its id; needed where there are several
    #[arg(long, short, global = true, value_name = "NAME|ID")]
    pub workspace: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, leave and remove workspaces
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Bring a file in: CSV, or contacts as vCard
    Import(Import),
    /// Write a list to a file or to standard output
    Export(Export),
    /// Show the lists of the workspace and their fields
    Lists(Json),
    /// Show the records of a list
    Ls(Ls),
    /// Make a record
    New(New),
    /// Show a record with everything about it
    Get(OneRecord),
    /// Change fields of a record
    Set(Set),
    /// Remove a record
    Rm(Named),
    /// Bring a removed record back
    Restore(Named),
    /// Show who did what to a record, and when
    History(OneRecord),
    /// Show the workspace's events, oldest first
    Log(Log),
    /// Print the digest of the workspace's views: equal on every node that has the same events
    Digest(Json),
    /// Check every signature, and the views against views made anew from the log
    Verify(Verify),
    /// See it work: a contact list in a temporary folder
    Demo,
}

/// `tandem workspace …`
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Found a workspace; you are its owner
    New {
        /// Its name
        name: String,
        /// Your name in it
        #[arg(long, value_name = "NAME", env = "USER", default_value = "me")]
        member: String,
    },
    /// List the workspaces of this node
    Ls(Json),
    /// Leave a workspace: the copy here stays, for reading only
    Leave {
        /// Its name or the start of its id
        workspace: String,
    },
    /// Remove a workspace with everything in it from this node
    Rm {
        /// Its name or the start of its id
        workspace: String,
        /// Yes, what is only here is lost
        #[arg(long)]
        yes: bool,
    },
}

/// Output for programs.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Json {
    /// Print JSON lines (see docs/cli.md)
    #[arg(long)]
    pub json: bool,
}

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
}

/// `tandem ls`
#[derive(Debug, ClapArgs)]
pub struct Ls {
    /// The list
    pub list: String,
    /// Sort by this field; `name:desc` for the greatest first
    #[arg(long, value_name = "FIELD[:desc]")]
    pub sort: Option<String>,
    /// Only records whose field has this value; may be given several times
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    pub filters: Vec<String>,
    /// Only these fields, in this order [default: those that show something]
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// At most so many records
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
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
    /// Output
    #[command(flatten)]
    pub json: Json,
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

/// `tandem log`
#[derive(Debug, ClapArgs)]
pub struct Log {
    /// At most so many events, the newest
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem verify`
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Also make the live views anew from the log
    #[arg(long)]
    pub rebuild: bool,
    /// Output
    #[command(flatten)]
    pub json: Json,
}
