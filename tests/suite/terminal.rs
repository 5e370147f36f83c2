//! Keepwatch in a terminal: completions in the real shells, manual pages, and what a person
//! sees on a screen.

mod colors;
mod completions;
mod links;
mod man;
mod progress;
mod screen;
mod tilde;
mod tools;
mod verdicts;
