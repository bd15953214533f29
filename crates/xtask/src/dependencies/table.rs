//! The table of `docs/architecture.md`: the allowed dependencies.

/// The exact column headings of the table.
const HEAD: [&str; 5] = ["Crate", "State", "Needs", "May import", "May never import"];

/// All rows of the table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

/// One crate's row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The folder in `crates/`.
    pub(crate) folder: String,
    /// The package: `portolan-` and the folder, unless the cell names another.
    pub(crate) package: String,
    /// Whether the crate exists, or is only planned.
    pub(crate) built: bool,
    pub(crate) needs: Needs,
    /// The names in code type of *May import*; `*` means any package.
    pub(super) may: Vec<String>,
    /// The names in code type of *May never import*.
    pub(super) never: Vec<String>,
}

/// The library that a crate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Core,
    Alloc,
    Std,
}

impl Table {
    /// Finds the table in the page and parses it.
    pub(super) fn read(page: &str) -> Result<Self, String> {
        let mut lines = page.lines().enumerate().skip_while(|(_, line)| cells(line) != HEAD);
        if lines.next().is_none() {
            return Err(format!("no table with the head `| {} |`", HEAD.join(" | ")));
        }
        let rows = lines.skip(1).take_while(|(_, line)| line.trim_start().starts_with('|'));
        let rows: Result<Vec<Row>, String> =
            rows.map(|(index, line)| Row::read(line).map_err(|why| format!("line {}: {why}", index + 1))).collect();
        let rows = rows?;
        if rows.is_empty() {
            return Err("the table has no rows".into());
        }
        for (index, row) in rows.iter().enumerate() {
            if rows.iter().skip(index + 1).any(|other| other.folder == row.folder) {
                return Err(format!("`{}` has two rows", row.folder));
            }
        }
        Ok(Self { rows })
    }

    /// Whether a name in a cell means this package. A crate of the workspace is named by its folder, another package by
    /// its name.
    pub(super) fn names(&self, name: &str, package: &str) -> bool {
        let ours = self.rows.iter().find(|row| row.package == package);
        ours.map_or(name == package, |row| row.folder == name)
    }
}

impl Row {
    fn read(line: &str) -> Result<Self, String> {
        let cells = cells(line);
        let [name, state, needs, may, never] = cells.as_slice() else {
            return Err(format!("a row has {} cells, this one has {}", HEAD.len(), cells.len()));
        };
        let names = code(name);
        let folder = names.first().ok_or("no crate in code type in the first cell")?.clone();
        let package = names.get(1).cloned().unwrap_or_else(|| format!("portolan-{folder}"));
        let built = match *state {
            "built" => true,
            "planned" => false,
            other => return Err(format!("the state is `built` or `planned`, not `{other}`")),
        };
        let needs = match code(needs).first().map(String::as_str) {
            Some("core") => Needs::Core,
            Some("alloc") => Needs::Alloc,
            Some("std") => Needs::Std,
            _ => return Err("a crate needs `core`, `alloc` or `std`, in code type".into()),
        };
        Ok(Self { folder, package, built, needs, may: code(may), never: code(never) })
    }
}

/// Returns the cells of a line of a Markdown table, or no cells for another line. `\|` does not end a cell.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    let line = line.trim();
    let Some(mut rest) = line.strip_prefix('|').filter(|rest| rest.ends_with('|')) else { return Vec::new() };
    let mut cells = Vec::new();
    while let Some(end) =
        rest.match_indices('|').map(|(at, _)| at).find(|at| !rest.get(..*at).is_some_and(|cell| cell.ends_with('\\')))
    {
        let (cell, after) = rest.split_at(end);
        cells.push(cell.trim());
        rest = after.strip_prefix('|').unwrap_or(after);
    }
    cells
}

/// Returns the words in code type.
pub(crate) fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_string).collect()
}
