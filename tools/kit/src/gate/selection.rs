//! Which tools are switched on where a call came in.

use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::registry::{Entry, Registry};

/// The toolset of search, executors and batches, part of every selection of toolsets.
pub const DISCOVERY: &str = "discovery";
/// Stands for every toolset in a selection.
const ALL: &str = "all";
/// Names that a refusal lists at most.
const SHOWN: usize = 12;

/// Which tools may be used at all, whatever the caller's rights. Several selections add up to the strictest.
///
/// Made by [`Selection::of_toolsets`] and its like, which check the names: whoever mistypes a limit must not go without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these toolsets; none means all. Discovery tools are how one finds what there is: they belong to each.
    pub toolsets: Option<Vec<String>>,
    /// Only these tools, by their own names; none means all. A discovery tool must be named like any other.
    pub tools: Option<Vec<String>>,
    /// Never these tools, by their own names.
    pub exclude: Vec<String>,
    /// Only tools that change nothing.
    pub read_only: bool,
}

impl Selection {
    /// Only these toolsets. `all` among them is no limit.
    pub fn of_toolsets<N: AsRef<str>>(registry: &Registry, names: &[N]) -> std::result::Result<Self, String> {
        let known = registry.toolsets();
        let mut toolsets = Vec::new();
        for name in given(names) {
            if name != ALL && !known.iter().any(|(toolset, _)| *toolset == name) {
                let known: Vec<&str> = std::iter::once(ALL).chain(known.iter().map(|(toolset, _)| *toolset)).collect();
                return Err(format!("There is no toolset `{name}`. There are: {}.", known.join(", ")));
            }
            toolsets.push(name.to_owned());
        }
        if toolsets.is_empty() {
            return Err("No toolset is named. Name some, such as tasks,contracts, or leave the list out.".into());
        }
        let all = toolsets.iter().any(|name| name == ALL);
        Ok(Self { toolsets: (!all).then(|| in_order(toolsets)), ..Self::default() })
    }

    /// Only these tools, by name or alias.
    pub fn of_tools<N: AsRef<str>>(registry: &Registry, names: &[N]) -> std::result::Result<Self, String> {
        Ok(Self { tools: Some(tools(registry, names)?), ..Self::default() })
    }

    /// All but these tools, by name or alias.
    pub fn without<N: AsRef<str>>(registry: &Registry, names: &[N]) -> std::result::Result<Self, String> {
        Ok(Self { exclude: tools(registry, names)?, ..Self::default() })
    }

    /// Only tools that change nothing.
    pub fn reading() -> Self {
        Self { read_only: true, ..Self::default() }
    }

    /// What both allow.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            toolsets: both(self.toolsets.as_ref(), other.toolsets.as_ref()),
            tools: both(self.tools.as_ref(), other.tools.as_ref()),
            exclude: in_order([self.exclude.as_slice(), &other.exclude].concat()),
            read_only: self.read_only || other.read_only,
        }
    }

    /// Everything that keeps a tool out, said so that it can follow "cannot be used:". Nothing when it is switched on.
    pub fn obstacles(&self, entry: &Entry) -> Vec<String> {
        let mut found = Vec::new();
        if self.read_only && entry.tool.writes() {
            found.push("this server or address is read-only".to_owned());
        }
        if self.exclude.iter().any(|name| name == entry.tool.name) {
            found.push("it is excluded on this server or at this address".to_owned());
        }
        if let Some(tools) = self.tools.as_ref().filter(|tools| !tools.iter().any(|name| name == entry.tool.name)) {
            found.push(match tools.as_slice() {
                [] => "no tool at all is switched on here, since the lists that were given have none in common".into(),
                [one] => format!("only the tool {one} is switched on here"),
                _ => format!("only the tools {} are switched on here", shown(tools)),
            });
        }
        if let Some(toolsets) = &self.toolsets
            && entry.toolset != DISCOVERY
            && !toolsets.iter().any(|name| name == entry.toolset)
        {
            found.push(match toolsets.as_slice() {
                [] => {
                    "no toolset at all is switched on here, since the lists that were given have none in common".into()
                }
                _ => format!(
                    "only the toolsets {} are switched on here, and this is one of {}",
                    toolsets.join(", "),
                    entry.toolset
                ),
            });
        }
        found
    }

    /// Lets a tool pass that is switched on, or says why it is not.
    pub(super) fn check(&self, entry: &Entry) -> Result<()> {
        match self.obstacles(entry).first().filter(|_| stands(Guard::Selection)) {
            None => Ok(()),
            Some(why) => Err(Error::forbidden(format!("{} cannot be used: {why}.", entry.tool.name))),
        }
    }
}

/// The names of a list, without the spaces and the empty places that people leave between commas.
fn given<N: AsRef<str>>(names: &[N]) -> impl Iterator<Item = &str> {
    names.iter().map(|name| name.as_ref().trim()).filter(|name| !name.is_empty())
}

/// The own names of tools that are given by name or alias.
fn tools<N: AsRef<str>>(registry: &Registry, names: &[N]) -> std::result::Result<Vec<String>, String> {
    let mut found = Vec::new();
    for name in given(names) {
        let Some(entry) = registry.find(name) else {
            let hint = match registry.nearest(name) {
                _ if registry.toolsets().iter().any(|(toolset, _)| *toolset == name) => {
                    "It is the name of a toolset: those are chosen with `toolsets`.".to_owned()
                }
                Some(near) => format!("Did you mean `{near}`? `bureau tools` lists them all."),
                None => "`bureau tools` lists them all.".to_owned(),
            };
            return Err(format!("There is no tool `{name}`. {hint}"));
        };
        found.push(entry.tool.name.to_owned());
    }
    if found.is_empty() {
        return Err("No tool is named. Name some, such as task_list,task_show, or leave the list out.".into());
    }
    Ok(in_order(found))
}

/// What is in both lists; no list is no limit.
fn both(one: Option<&Vec<String>>, two: Option<&Vec<String>>) -> Option<Vec<String>> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.iter().filter(|name| two.contains(name)).cloned().collect()),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

/// Each name once, so that selections that mean the same are equal.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

fn shown(names: &[String]) -> String {
    match names.get(SHOWN..).map(<[String]>::len) {
        None | Some(0) => names.join(", "),
        Some(more) => {
            format!("{} and {more} more", names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Toolset;

    fn registry() -> Registry {
        let mut tool = crate::batch::tool();
        (tool.name, tool.aliases) = ("letter_send", vec!["letter_send_tool"]);
        let letters = Toolset { name: "letters", about: "Letters.", tools: vec![tool] };
        Registry::new(vec![crate::discovery::toolset(), letters], &[], "{}").unwrap()
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn names_are_checked_and_put_in_order() {
        let registry = registry();
        let made = Selection::of_toolsets(&registry, &[" letters", "", "discovery", "letters "]).unwrap();
        assert_eq!(made, Selection { toolsets: names(&["discovery", "letters"]), ..Selection::default() });
        assert_eq!(Selection::of_toolsets(&registry, &["letters", "all"]), Ok(Selection::default()));
        let made = Selection::of_tools(&registry, &["tool_search", "letter_send_tool", "letter_send"]).unwrap();
        assert_eq!(made, Selection { tools: names(&["letter_send", "tool_search"]), ..Selection::default() });
        let refused = |made: std::result::Result<Selection, String>| made.unwrap_err();
        assert_eq!(
            refused(Selection::of_toolsets(&registry, &["letters", "post"])),
            "There is no toolset `post`. There are: all, discovery, letters."
        );
        assert_eq!(
            refused(Selection::without(&registry, &["tool_serch"])),
            "There is no tool `tool_serch`. Did you mean `tool_search`? `bureau tools` lists them all."
        );
        assert_eq!(
            refused(Selection::of_tools(&registry, &["letters"])),
            "There is no tool `letters`. It is the name of a toolset: those are chosen with `toolsets`."
        );
        assert_eq!(
            refused(Selection::of_tools(&registry, &["ÿ"])),
            "There is no tool `ÿ`. `bureau tools` lists them all."
        );
        let nothing = "No tool is named. Name some, such as task_list,task_show, or leave the list out.";
        assert_eq!(refused(Selection::of_tools::<&str>(&registry, &[])), nothing);
        assert_eq!(refused(Selection::without(&registry, &["", " "])), nothing);
        assert_eq!(
            refused(Selection::of_toolsets(&registry, &[""])),
            "No toolset is named. Name some, such as tasks,contracts, or leave the list out."
        );
    }
    #[test]
    fn together_selections_allow_what_each_of_them_allows() {
        let registry = registry();
        let mut selections = vec![Selection::default(), Selection::reading()];
        for list in [&["letters"][..], &["discovery"], &["all"], &["letters", "discovery"]] {
            selections.push(Selection::of_toolsets(&registry, list).unwrap());
        }
        for list in [&["letter_send"][..], &["tool_search", "letter_send_tool"], &["tool_call_read", "tool_search"]] {
            selections.push(Selection::of_tools(&registry, list).unwrap());
            selections.push(Selection::without(&registry, list).unwrap());
        }
        let mut refused = 0;
        for one in &selections {
            for two in &selections {
                let (both, swapped) = (one.and(two), two.and(one));
                for entry in registry.entries() {
                    let free = |selection: &Selection| selection.obstacles(entry).is_empty();
                    let expected = free(one) && free(two);
                    assert_eq!(
                        (free(&both), free(&swapped)),
                        (expected, expected),
                        "{one:?} {two:?} {}",
                        entry.tool.name
                    );
                    refused += usize::from(!expected);
                }
            }
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn every_obstacle_is_told() {
        let registry = registry();
        let why = |selection: Selection, name: &str| selection.obstacles(registry.find(name).unwrap());
        let of_tools = |names: &[&str]| Selection::of_tools(&registry, names).unwrap();
        let of_toolsets = |names: &[&str]| Selection::of_toolsets(&registry, names).unwrap();
        let much = Selection::reading()
            .and(&Selection::without(&registry, &["letter_send"]).unwrap())
            .and(&of_tools(&["tool_search"]))
            .and(&of_toolsets(&["discovery"]));
        assert_eq!(
            why(much.clone(), "letter_send"),
            [
                "this server or address is read-only",
                "it is excluded on this server or at this address",
                "only the tool tool_search is switched on here",
                "only the toolsets discovery are switched on here, and this is one of letters",
            ]
        );
        assert_eq!(why(much, "tool_search"), [""; 0]);
        assert_eq!(
            why(of_tools(&["tool_search", "batch_call"]), "letter_send"),
            ["only the tools batch_call, tool_search are switched on here"]
        );
        assert_eq!(
            why(of_tools(&["tool_search"]).and(&of_tools(&["batch_call"])), "batch_call"),
            ["no tool at all is switched on here, since the lists that were given have none in common"]
        );
        assert_eq!(
            why(of_toolsets(&["letters"]).and(&of_toolsets(&["discovery"])), "letter_send"),
            ["no toolset at all is switched on here, since the lists that were given have none in common"]
        );
        let many: Vec<String> = (10..30).map(|number| format!("tool_{number}")).collect();
        assert_eq!(
            why(Selection { tools: Some(many), ..Selection::default() }, "batch_call"),
            [
                "only the tools tool_10, tool_11, tool_12, tool_13, tool_14, tool_15, tool_16, tool_17, tool_18, tool_19, \
              tool_20, tool_21 and 8 more are switched on here"
            ]
        );
    }
}
