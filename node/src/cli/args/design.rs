//! The arguments of `tandem design` and `tandem view`.

use super::Json;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `tandem design`
#[derive(Debug, Args)]
pub struct DesignArgs {
    /// What to do; without it, the design is shown
    #[command(subcommand)]
    pub command: Option<DesignCommand>,
}

/// `tandem design …`
#[derive(Debug, Subcommand)]
pub enum DesignCommand {
    /// Show the lists with their fields, views, forms and rules, and whose the design is
    Show(Json),
    /// Write the design to a file or to standard output
    Export {
        /// The file, which is replaced; its ending says whether it is TOML or JSON
        file: Option<PathBuf>,
        /// The form
        #[arg(long, value_enum)]
        format: Option<DesignFormat>,
    },
    /// Show what a file would change
    Diff {
        /// The file
        file: PathBuf,
        /// Output
        #[command(flatten)]
        json: Json,
    },
    /// Try a file's design on a clone of the data, and show what would come of it; nothing is changed
    Rehearse {
        /// The file
        file: PathBuf,
        /// Output
        #[command(flatten)]
        json: Json,
    },
    /// Make the design what a file says; on the server that it belongs to, propose it to the members
    Apply {
        /// The file, or the name of a ready design
        file: PathBuf,
        /// Go on although there are values that the new types cannot hold: they stay, raw, and are flagged
        #[arg(long)]
        keep_raw: bool,
        /// Output
        #[command(flatten)]
        json: Json,
    },
    /// Show who changed the design, and what became of what servers proposed
    History(Json),
    /// Make the design what it was before a change
    Revert {
        /// The event, by its id in the history
        event: String,
    },
    /// On the server that the design belongs to: take a member's change of it, which was refused, into it after all; the
    /// members are asked as for any other, and what they wrote under its fields is sent again
    Adopt {
        /// The event, by its id in the inbox or the history
        event: String,
    },
    /// Print the JSON Schema of design files
    Schema,
}

/// The form of a design's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DesignFormat {
    /// TOML
    Toml,
    /// JSON
    Json,
}

/// `tandem view`
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// The view's name; without it, the views are listed
    pub name: Option<String>,
    /// Its list, where several have a view of this name
    #[arg(long, value_name = "LIST")]
    pub list: Option<String>,
    /// Of a calendar: the month [default: this one]
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Option<String>,
    /// Columns of the page [default: those of the terminal, or 100]
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<usize>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}
