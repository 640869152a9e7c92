//! The command line: sentences that are typed, forms that are printed, codes that are returned.

mod alerts;
mod args;
mod config;
mod containers;
mod daemon;
mod fake;
mod fixture;
mod forms;
mod health;
mod hostile;
mod insight;
mod lists;
mod log_files;
mod ports;
mod story;
mod units;
mod verbs;
mod ward;
mod why;
