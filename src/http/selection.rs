//! What an address and the headers beside it ask for: which tools, and how they are listed.

use axum::http::{HeaderMap, StatusCode};
use bureau_kit::gate::Selection;
use bureau_kit::registry::Registry;

use super::{Refused, refused};
use crate::rpc::{INVALID_REQUEST, error};

/// Endpoints under the paths that source systems document, each with the toolset that is served there. While no group
/// brings that toolset, the endpoint answers what every address with an unknown toolset does.
pub(super) const PATHS: &[(&str, &str)] = &[("/noe/mcp", "noe")];

/// Before the name of every header that selects: `X-Bureau-Read-Only` says what `read_only` says in a query.
const PREFIX: &str = "x-bureau-";

/// What a request asks for beyond what the server has switched on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// All that the request says, at its strictest.
    pub(super) selection: Selection,
    /// Whoever names toolsets or tools wants to see them all, not the core of them.
    pub(super) list_all: bool,
    /// Whether lists carry output schemas.
    pub(super) output_schemas: bool,
}

/// Reads `/mcp/{toolset,…}`, the query and the `X-Bureau-*` headers. Each of them can only narrow; a query parameter
/// that comes twice narrows twice. What cannot be understood is refused, since a limit must not be lost to a typing error.
pub(super) fn wanted(
    registry: &Registry,
    path: Option<&str>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Wanted, Refused> {
    read(registry, path, query, headers).map_err(|(status, text)| refused(status, error(INVALID_REQUEST, text)))
}

type Wrong = (StatusCode, String);

fn read(registry: &Registry, path: Option<&str>, query: Option<&str>, headers: &HeaderMap) -> Result<Wanted, Wrong> {
    let mut wanted = Wanted::default();
    // There is nothing at an address that names what does not exist; a wrong header makes a request wrong.
    let address = StatusCode::NOT_FOUND;
    if let Some(path) = path {
        wanted.take(registry, "toolsets", path, address)?;
    }
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !wanted.take(registry, &key, &value, address)? {
            if matches!(&*key, "access_token" | "token" | "api_key") {
                return Err((StatusCode::BAD_REQUEST, TOKEN_IN_ADDRESS.to_owned()));
            }
            let text = format!("There is no query parameter `{key}`. There are: {}.", KEYS.join(", "));
            return Err((StatusCode::BAD_REQUEST, text));
        }
    }
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix(PREFIX) else { continue };
        let mut values = headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        // Two of one header could be read one way here and another way by a proxy.
        let (Some(value), None) = (value, values.next()) else {
            let text = format!("The header {name} must come once, in ASCII.");
            return Err((StatusCode::BAD_REQUEST, text));
        };
        if !wanted.take(registry, &key.replace('-', "_"), value, StatusCode::BAD_REQUEST)? {
            let known: Vec<String> = KEYS.iter().map(|key| format!("{PREFIX}{}", key.replace('_', "-"))).collect();
            let text = format!("There is no header {name}. There are: {}.", known.join(", "));
            return Err((StatusCode::BAD_REQUEST, text));
        }
    }
    Ok(wanted)
}

/// OAuth 2.1 §5.1.1 and MCP forbid it.
const TOKEN_IN_ADDRESS: &str = "A token never goes into the address, which logs and histories keep. Send it as the header \
    `Authorization: Bearer <token>`, and make a new one in place of this one.";

const KEYS: &[&str] = &["toolsets", "tools", "exclude", "read_only", "output_schemas"];

impl Wanted {
    /// Narrows by one key and its value. Answers whether there is such a key.
    fn take(&mut self, registry: &Registry, key: &str, value: &str, unknown: StatusCode) -> Result<bool, Wrong> {
        let names: Vec<&str> = value.split(',').collect();
        let selection = match key {
            "toolsets" => Selection::of_toolsets(registry, &names),
            "tools" => Selection::of_tools(registry, &names),
            "exclude" => Selection::without(registry, &names),
            "read_only" if switched_on(key, value)? => Ok(Selection::reading()),
            "read_only" => return Ok(true),
            "output_schemas" => {
                self.output_schemas |= switched_on(key, value)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.selection = self.selection.and(&selection.map_err(|text| (unknown, text))?);
        self.list_all |= matches!(key, "toolsets" | "tools");
        Ok(true)
    }
}

/// `?read_only` alone means yes.
fn switched_on(key: &str, value: &str) -> Result<bool, Wrong> {
    match value.trim() {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err((StatusCode::BAD_REQUEST, format!("`{key}` is 1, true, 0 or false, and not `{other}`."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: Option<&str>, query: &str, headers: &[(&'static str, &str)]) -> Result<Wanted, (u16, String)> {
        let registry = crate::catalog::registry().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        read(&registry, path, Some(query), &map).map_err(|(status, text)| (status.as_u16(), text))
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn all(selection: Selection) -> Result<Wanted, (u16, String)> {
        Ok(Wanted { selection, list_all: true, output_schemas: false })
    }

    #[test]
    fn queries_are_decoded() {
        let two = || Selection { toolsets: names(&["crm", "tasks"]), ..Selection::default() };
        for query in [
            "toolsets=tasks,crm",
            "toolsets=tasks%2Ccrm",
            "toolsets=tasks%2ccrm",
            "toolsets=tasks,+crm",
            "toolsets=%74asks,%20crm,",
            "&toolsets=crm,tasks&",
            "%74oolsets=tasks,crm",
            "toolsets=all&toolsets=tasks,crm",
            "toolsets=tasks,crm,access&toolsets=crm,tasks,teams",
            "toolsets=tasks,crm&read_only=0&output_schemas=false",
        ] {
            assert_eq!(asked(None, query, &[]), all(two()), "{query}");
        }
        assert_eq!(asked(None, "", &[]), Ok(Wanted::default()));
        assert_eq!(asked(None, "toolsets=all", &[]), all(Selection::default()));
        assert_eq!(
            asked(None, "tools=task_list,task_show&tools=task_show,task_create", &[]),
            all(Selection { tools: names(&["task_show"]), ..Selection::default() })
        );
        assert_eq!(
            asked(None, "exclude=task_list&exclude=task_show%2Ctask_list", &[]).unwrap().selection.exclude,
            ["task_list", "task_show"]
        );
        for query in ["read_only", "read_only=", "read_only=1", "read_only=true", "read_only=1&read_only=0"] {
            let reading = Wanted { selection: Selection::reading(), ..Wanted::default() };
            assert_eq!(asked(None, query, &[]), Ok(reading), "{query}");
        }
        assert!(asked(None, "output_schemas=1", &[]).unwrap().output_schemas);
    }

    #[test]
    fn every_source_narrows() {
        assert_eq!(
            asked(
                Some("tasks,crm,access"),
                "toolsets=tasks,crm&exclude=task_list&output_schemas",
                &[
                    ("x-bureau-toolsets", "crm , access"),
                    ("x-bureau-tools", "person_list,person_show"),
                    ("x-bureau-exclude", "person_show"),
                    ("x-bureau-read-only", "1"),
                    ("x-bureau-output-schemas", "1"),
                ]
            ),
            Ok(Wanted {
                selection: Selection {
                    toolsets: names(&["crm"]),
                    tools: names(&["person_list", "person_show"]),
                    exclude: vec!["person_show".into(), "task_list".into()],
                    read_only: true,
                },
                list_all: true,
                output_schemas: true,
            })
        );
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let registry = crate::catalog::registry().unwrap();
        let known: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        let no_toolset = |name: &str| format!("There is no toolset `{name}`. There are: all, {}.", known.join(", "));
        let no_tool =
            "There is no tool `task_lst`. Did you mean `task_list`? `bureau tools` lists them all.".to_owned();
        let nothing = "No tool is named. Name some, such as task_list,task_show, or leave the list out.".to_owned();
        let no_parameter =
            "There is no query parameter `tool`. There are: toolsets, tools, exclude, read_only, output_schemas.";
        let no_header = "There is no header x-bureau-tool. There are: x-bureau-toolsets, x-bureau-tools, x-bureau-exclude, \
                         x-bureau-read-only, x-bureau-output-schemas.";
        for (path, query, headers, status, text) in [
            (Some("task"), "", &[][..], 404, no_toolset("task")),
            (Some("noe"), "", &[], 404, no_toolset("noe")),
            (None, "toolsets=tasks,nope", &[], 404, no_toolset("nope")),
            (None, "toolsets=%ff", &[], 404, no_toolset("\u{fffd}")),
            (None, "toolsets=tasks%zz", &[], 404, no_toolset("tasks%zz")),
            (None, "tools=task_lst", &[], 404, no_tool.clone()),
            (None, "exclude=task_lst", &[], 404, no_tool.clone()),
            (None, "tools=", &[], 404, nothing.clone()),
            (None, "tool=task_list", &[], 400, no_parameter.to_owned()),
            (None, "read_only=yes", &[], 400, "`read_only` is 1, true, 0 or false, and not `yes`.".to_owned()),
            (None, "", &[("x-bureau-toolsets", "nope")], 400, no_toolset("nope")),
            (None, "", &[("x-bureau-tools", "task_lst")], 400, no_tool),
            (None, "", &[("x-bureau-exclude", "")], 400, nothing),
            (None, "", &[("x-bureau-tool", "task_list")], 400, no_header.to_owned()),
            (
                None,
                "",
                &[("x-bureau-tools", "task_list"), ("x-bureau-tools", "task_show")],
                400,
                "The header x-bureau-tools must come once, in ASCII.".to_owned(),
            ),
            (
                None,
                "",
                &[("x-bureau-tools", "żaba")],
                400,
                "The header x-bureau-tools must come once, in ASCII.".to_owned(),
            ),
        ] {
            assert_eq!(asked(path, query, headers), Err((status, text)), "{path:?} {query} {headers:?}");
        }
    }
}
