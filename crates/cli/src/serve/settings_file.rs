//! The settings file of `--config`: TOML with one key for each option of `portolan serve`.
//!
//! Rules of this file: a key is the name of an option without its hyphens, and its value is parsed by the parser of the
//! option. An option on the command line replaces the key of the file. A relative path is relative to the file. Every
//! key is checked: an unknown key and a value of another type are errors with the line and the column. No error shows a
//! secret, and a file with secrets must be private.

use super::ServeArgs;
use crate::args::{self, Cli, Command};
use crate::secret;
use clap::{Arg, ArgAction, Args as _, CommandFactory as _, Parser as _};
use core::fmt;
use core::ops::Range;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest settings file, in bytes.
const LONGEST: u64 = 1 << 20;

/// The options whose values are secrets.
const SECRET: [&str; 3] = ["user", "auth-secret", "rendezvous-secret"];

/// Why a settings file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsFileError {
    #[error("the settings in {} cannot be read: {why}; check the path of --config", .file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} is longer than {} bytes; is it a settings file?", .0.display(), LONGEST)]
    TooLong(PathBuf),
    #[error("{} holds passwords ({key}), and other users can read or change it (mode {mode:o}); run: chmod 600 {}", .file.display(), .file.display())]
    Exposed { file: PathBuf, key: &'static str, mode: u32 },
    #[error("{place}: {message}")]
    Syntax { place: Place, message: Box<str> },
    #[error("{place}: unknown key {key:?}; the nearest key is {nearest}")]
    Key { place: Place, key: Box<str>, nearest: Box<str> },
    #[error("{place}: the key {key} needs {expected}, not {found}")]
    Type { place: Place, key: Box<str>, expected: &'static str, found: &'static str },
    #[error("{place}: {message}")]
    Value { place: Place, message: Box<str> },
    #[error("{0}")]
    Arguments(Box<str>),
}

/// A place in a settings file. Line and column count from 1, the column in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    file: PathBuf,
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}, column {}", self.file.display(), self.line, self.column)
    }
}

/// Returns the arguments of a command line together with the settings of the file.
pub(super) fn merge(path: &Path, words: &[OsString]) -> Result<ServeArgs, SettingsFileError> {
    let (text, mode) = read(path)?;
    let reader = Reader { path, text: &text, mode, options: options() };
    let settings = reader.settings()?;
    let given = given(words);
    let added = settings.into_iter().filter(|(key, _)| !given.contains(key)).map(|(_, word)| word);
    let words = words.iter().cloned().chain(added);
    let usage = |error: clap::Error| SettingsFileError::Arguments(args::one_line(&error).into());
    let Command::Serve(args) = Cli::try_parse_from(words).map_err(usage)?.command else {
        return Err(SettingsFileError::Arguments("--config belongs to the command serve".into()));
    };
    Ok(*args)
}

/// Returns the text of a file, and its permissions if others can read or change it.
fn read(path: &Path) -> Result<(String, Option<u32>), SettingsFileError> {
    let unreadable = |why| SettingsFileError::Unreadable { file: path.into(), why };
    let file = File::open(path).map_err(unreadable)?;
    let mode = secret::exposed(&file.metadata().map_err(unreadable)?);
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length > LONGEST) {
        return Err(SettingsFileError::TooLong(path.into()));
    }
    Ok((text, mode))
}

/// Returns the options of `portolan serve` that a file can set.
fn options() -> Vec<Arg> {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    command.get_arguments().filter(|option| option.get_long() != Some("config")).cloned().collect()
}

/// Returns the names of the options on a command line.
fn given(words: &[OsString]) -> Vec<String> {
    let Ok(matches) = Cli::command().try_get_matches_from(words) else { return Vec::new() };
    let Some((_, matches)) = matches.subcommand() else { return Vec::new() };
    let is_given =
        |option: &Arg| matches.value_source(option.get_id().as_str()) == Some(clap::parser::ValueSource::CommandLine);
    let given = options().into_iter().filter(is_given);
    given.filter_map(|option| option.get_long().map(ToOwned::to_owned)).collect()
}

/// The kind of value that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The option has no value.
    Flag,
    Number,
    /// A number or a word.
    NumberOrWord,
    Path,
    Text,
}

impl Kind {
    fn of(option: &Arg) -> Self {
        if !option.get_action().takes_values() {
            return Self::Flag;
        }
        let names = option.get_value_names().unwrap_or_default();
        match names.first().map(|name| &**name) {
            Some("N" | "S") => Self::Number,
            Some("N|off") => Self::NumberOrWord,
            Some("FILE") => Self::Path,
            Some(_) | None => Self::Text,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::NumberOrWord => "a whole number or a word in quotes",
            Self::Path | Self::Text => "a text in quotes",
        }
    }
}

/// Reads the settings of one file.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    /// The permissions of the file, if others can read or change it.
    mode: Option<u32>,
    options: Vec<Arg>,
}

impl Reader<'_> {
    /// Returns each setting as the name of its option and one argument.
    fn settings(&self) -> Result<Vec<(String, OsString)>, SettingsFileError> {
        let table = DeTable::parse(self.text).map_err(|error| SettingsFileError::Syntax {
            place: self.place(error.span().unwrap_or(0..0)),
            // The message may have several lines, and an error is one line.
            message: error.message().lines().collect::<Vec<_>>().join(" ").into(),
        })?;
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        // In the order of the file, so that the first faulty line is reported.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut settings = Vec::new();
        for (key, value) in entries {
            self.add(key, value, &mut settings)?;
        }
        Ok(settings)
    }

    fn add<'t>(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'t>>,
        settings: &mut Vec<(String, OsString)>,
    ) -> Result<(), SettingsFileError> {
        let name = key.get_ref().as_ref();
        let Some(option) = self.options.iter().find(|option| option.get_long() == Some(name)) else {
            return Err(SettingsFileError::Key {
                place: self.place(key.span()),
                key: name.into(),
                nearest: self.nearest(name).into(),
            });
        };
        if let (Some(key), Some(mode)) = (SECRET.into_iter().find(|secret| *secret == name), self.mode) {
            return Err(SettingsFileError::Exposed { file: self.path.into(), key, mode });
        }
        let of_type = |expected, value: &Spanned<DeValue<'t>>| SettingsFileError::Type {
            place: self.place(value.span()),
            key: name.into(),
            expected,
            found: type_name(value.get_ref()),
        };
        if matches!(option.get_action(), ArgAction::Append) {
            let values = value.get_ref().as_array().ok_or_else(|| of_type("a list, such as [\"…\"]", value))?;
            for value in values {
                let word = self.word(option, value).ok_or_else(|| of_type(Kind::of(option).expected(), value))?;
                settings.push((name.to_owned(), self.checked(option, value, word)?));
            }
            return Ok(());
        }
        match (Kind::of(option), value.get_ref()) {
            (Kind::Flag, DeValue::Boolean(true)) => settings.push((name.to_owned(), format!("--{name}").into())),
            (Kind::Flag, DeValue::Boolean(false)) => {}
            (kind, _) => {
                let word = self.word(option, value).ok_or_else(|| of_type(kind.expected(), value))?;
                settings.push((name.to_owned(), self.checked(option, value, word)?));
            }
        }
        Ok(())
    }

    /// Returns a value as an argument; `None` if its type is not that of the option.
    fn word(&self, option: &Arg, value: &Spanned<DeValue<'_>>) -> Option<OsString> {
        let mut word = OsString::from(format!("--{}=", option.get_long()?));
        let kind = Kind::of(option);
        if let DeValue::Integer(number) = value.get_ref() {
            let is_number = matches!(kind, Kind::Number | Kind::NumberOrWord);
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok().filter(|_| is_number)?;
            word.push(number.to_string());
            return Some(word);
        }
        let text = value.get_ref().as_str()?;
        match kind {
            Kind::Flag | Kind::Number => return None,
            Kind::Path => word.push(self.path.parent().unwrap_or(Path::new("")).join(text)),
            Kind::NumberOrWord | Kind::Text => word.push(text),
        }
        Some(word)
    }

    /// Checks a value by the parser of its option.
    fn checked(
        &self,
        option: &Arg,
        value: &Spanned<DeValue<'_>>,
        word: OsString,
    ) -> Result<OsString, SettingsFileError> {
        let command = clap::Command::new("serve").no_binary_name(true).arg(option.clone());
        match command.try_get_matches_from([&word]) {
            Ok(_) => Ok(word),
            Err(error) => Err(SettingsFileError::Value {
                place: self.place(value.span()),
                message: args::one_line(&error).into(),
            }),
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place { file: self.path.into(), line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }

    /// Returns the key with the smallest edit distance.
    fn nearest(&self, key: &str) -> String {
        let names = self.options.iter().filter_map(Arg::get_long);
        names.min_by_key(|name| distance(name, key)).unwrap_or_default().to_owned()
    }
}

const fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns the edit distance of Levenshtein. A long key is cut, so that the time is bounded.
fn distance(known: &str, key: &str) -> usize {
    const LONGEST_KEY: usize = 64;
    let key: Vec<char> = key.chars().take(LONGEST_KEY).collect();
    let mut row: Vec<usize> = (0..=key.len()).collect();
    for (above, one) in (1..).zip(known.chars()) {
        let (mut diagonal, mut left) = (above - 1, above);
        for (cell, other) in row.iter_mut().skip(1).zip(&key) {
            let substituted = diagonal + usize::from(one != *other);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
