//! All tools and tables of the running server.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::args::nearest;
use crate::table::{OnDelete, Table, Type};
use crate::tool::Tool;

/// Tools that belong together: what a person switches on or off, and a token is narrowed to.
#[derive(Debug)]
pub struct Toolset {
    /// Short name, as in `--toolsets tasks,contracts`.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub about: &'static str,
    /// Its tools, in the order in which they are listed.
    pub tools: Vec<Tool>,
}

/// A tool with its place.
#[derive(Debug)]
pub struct Entry {
    /// The tool.
    pub tool: Tool,
    /// Name of its toolset.
    pub toolset: &'static str,
    /// The source operations it serves, such as `intum: GET /organize/tasks.json`.
    pub sources: Vec<String>,
}

/// A column somewhere that holds ids of a table.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// The table that refers.
    pub table: &'static Table,
    /// Its column with the id.
    pub column: &'static str,
    /// For references to any kind of record: the column with the noun of the subject.
    pub subject_type: Option<&'static str>,
    /// What happens when the record is deleted.
    pub on_delete: OnDelete,
}

/// Every tool and table, by name.
#[derive(Debug)]
pub struct Registry {
    entries: Vec<Entry>,
    by_name: HashMap<&'static str, usize>,
    toolsets: Vec<(&'static str, &'static str)>,
    tables: Vec<&'static Table>,
    tables_by_name: HashMap<&'static str, &'static Table>,
    references: HashMap<&'static str, Vec<Reference>>,
    pub(crate) search_index: crate::discovery::LazyIndex,
}

impl Registry {
    /// Joins toolsets and tables. Answers what is wrong with the catalogue instead of starting with half of it.
    pub fn new(toolsets: Vec<Toolset>, tables: &[&'static Table], sources: &str) -> Result<Self, String> {
        let sources: HashMap<String, Vec<String>> =
            serde_json::from_str(sources).map_err(|error| format!("sources.json cannot be read: {error}"))?;
        let mut registry = Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            toolsets: Vec::new(),
            tables: tables.to_vec(),
            tables_by_name: tables.iter().map(|table| (table.name, *table)).collect(),
            references: HashMap::new(),
            search_index: crate::discovery::LazyIndex::new(),
        };
        for toolset in toolsets {
            registry.toolsets.push((toolset.name, toolset.about));
            for tool in toolset.tools {
                let index = registry.entries.len();
                for name in std::iter::once(tool.name).chain(tool.aliases.iter().copied()) {
                    if registry.by_name.insert(name, index).is_some() {
                        return Err(format!("two tools are called {name}"));
                    }
                }
                let sources = sources.get(tool.name).cloned().unwrap_or_default();
                registry.entries.push(Entry { tool, toolset: toolset.name, sources });
            }
        }
        registry.index_references()?;
        Ok(registry)
    }

    fn index_references(&mut self) -> Result<(), String> {
        for &table in &self.tables {
            let subject_type =
                table.columns.iter().find(|column| column.kind == Type::SubjectType).map(|column| column.name);
            for column in table.columns {
                let (targets, subject_type, on_delete): (Vec<&'static str>, _, _) = match column.kind {
                    Type::Reference { table: target, on_delete } => {
                        if !self.tables_by_name.contains_key(target) {
                            return Err(format!("{}.{} refers to the unknown table {target}", table.name, column.name));
                        }
                        (vec![target], None, on_delete)
                    }
                    Type::SubjectId { on_delete } => {
                        (self.tables.iter().map(|table| table.name).collect(), subject_type, on_delete)
                    }
                    _ => continue,
                };
                for target in targets {
                    let reference = Reference { table, column: column.name, subject_type, on_delete };
                    self.references.entry(target).or_default().push(reference);
                }
            }
        }
        Ok(())
    }

    /// The tool called `name`, by name or alias.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|index| self.entries.get(*index))
    }

    /// Whether the tool of this name, or alias, needs no credential.
    pub fn is_public(&self, name: &str) -> bool {
        self.find(name).is_some_and(|entry| entry.tool.public)
    }

    /// The tool whose name is most like `name`.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.entries.iter().map(|entry| entry.tool.name))
    }

    /// All tools, toolset by toolset.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Names and purposes of the toolsets.
    pub fn toolsets(&self) -> &[(&'static str, &'static str)] {
        &self.toolsets
    }

    /// All described tables.
    pub fn tables(&self) -> &[&'static Table] {
        &self.tables
    }

    /// The table called `name`.
    pub fn table(&self, name: &str) -> Option<&'static Table> {
        self.tables_by_name.get(name).copied()
    }

    /// The table whose records are called `noun`.
    pub fn table_of(&self, noun: &str) -> Option<&'static Table> {
        self.tables.iter().find(|table| table.noun == noun).copied()
    }

    /// Every place that may hold an id of `table`.
    pub fn references_to(&self, table: &Table) -> &[Reference] {
        self.references.get(table.name).map_or(&[], Vec::as_slice)
    }
}

impl Entry {
    /// The tool as `tools/list` shows it. Output schemas are left out where space matters more than types.
    pub fn listing(&self, with_output_schema: bool) -> Map<String, Value> {
        use serde_json::json;
        let tool = &self.tool;
        let mut object = Map::new();
        object.insert("name".into(), json!(tool.name));
        object.insert("title".into(), json!(tool.title));
        object.insert("description".into(), json!(tool.about));
        object.insert("inputSchema".into(), crate::schema::published(&tool.input_schema()));
        if with_output_schema {
            object.insert("outputSchema".into(), crate::schema::published(&tool.output_schema()));
        }
        object.insert(
            "annotations".into(),
            json!({
                "title": tool.title,
                "readOnlyHint": !tool.writes(),
                "destructiveHint": tool.writes() && tool.destructive,
                "idempotentHint": tool.idempotent,
                "openWorldHint": tool.open_world,
            }),
        );
        object
    }
}
