//! The one catalogue of features: whatever any tool needs, and what the source systems call the same.

use std::collections::BTreeMap;

use bureau_kit::args::nearest;
use bureau_kit::prelude::*;
use bureau_kit::registry::Registry;
use bureau_kit::rights::{SOURCE_CODES, covers, features_of, is_of_installation, system_of};

use crate::builtin;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("feature_check", "", check)
            .title("Check features")
            .about(
                "Check which of some features you may use right now, with this token. Codes of the source systems, such as \
                 tasks_write, are read too. Why one is missing is permission_explain.",
            )
            .synonyms("can i may permissions rights sprawdź uprawnienia czy mogę перевірити права чи можу"),
        Tool::read("feature_list", "auth.acl.manage", list)
            .title("List features")
            .about(
                "List every feature that a tool needs, with its module, the tools it opens, and the codes of the source systems \
                 that mean it. Give features with role_create, role_acl_update or user_acl_update.",
            )
            .synonyms("permissions rights catalogue privileges scopes lista uprawnień przywileje права привілеї список"),
    ]
}

/// Features that no tool needs as a whole, but that some tools ask for inside.
const ASKED_INSIDE: &[(&str, &str)] = &[
    ("audit_logs.redo_tenant", "Redo what others have undone"),
    ("audit_logs.undo_tenant", "Undo what others have done"),
    ("audit_logs.view_tenant", "See what everyone has done"),
    ("auth.acl.manage", "Manage who may do what"),
    ("auth.sessions.manage", "Manage everyone's sessions"),
    ("auth.sidebar.manage", "Arrange the menu for roles"),
    ("dashboards.view", "See dashboards"),
];

/// Modules whose name says little by itself.
const MODULES: &[(&str, &str)] = &[
    ("ai_assistant", "AI assistant"),
    ("api_keys", "API keys"),
    ("audit_logs", "Action and access log"),
    ("auth", "Users, roles and sessions"),
    ("cms", "Sites"),
    ("configs", "Configuration of the installation"),
    ("connect", "Connectors and flows"),
    ("customers", "Customers"),
    ("directory", "Tenants and organizations"),
    ("form", "Forms"),
    ("insight", "Reports"),
    ("kb", "Knowledge base"),
    ("noe", "Noe apps"),
    ("organize", "Tasks and projects"),
    ("query_index", "Index of records"),
    ("voip", "Telephony"),
];

/// A feature.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Feature {
    /// The feature, such as contracts.view.
    pub(crate) id: String,
    /// What it lets one do.
    title: String,
    /// Module it is of.
    module: String,
    /// Tools for which it is enough.
    tools: Vec<&'static str>,
    /// Whether it reaches beyond one tenant: only super administrators hold it.
    of_installation: bool,
}

/// All features of the running server, in the order of their names.
pub(crate) fn catalogue(registry: &Registry) -> Vec<Feature> {
    let mut found: BTreeMap<&'static str, Vec<&'static str>> =
        ASKED_INSIDE.iter().map(|(feature, _)| (*feature, Vec::new())).collect();
    for entry in registry.entries() {
        for right in &entry.tool.rights {
            found.entry(right).or_default().push(entry.tool.name);
        }
    }
    let feature = |(id, tools): (&'static str, Vec<&'static str>)| Feature {
        title: title_of(id),
        module: module_of(id).to_owned(),
        of_installation: is_of_installation(id),
        id: id.to_owned(),
        tools,
    };
    found.into_iter().map(feature).collect()
}

/// Features as a caller lists them, codes of the source systems read as what they stand for. What is no feature is told
/// instead of stored: a slip of the pen must not look like a right.
pub(crate) fn read(registry: &Registry, path: &str, codes: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (index, code) in codes.iter().enumerate() {
        let code = code.trim();
        for feature in features_of(code) {
            if feature.chars().count() > 100 || !is_known(registry, &feature) {
                let known = catalogue(registry);
                let near = nearest(&feature, known.iter().map(|feature| feature.id.as_str()));
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                let code = code.chars().take(100).collect::<String>();
                return Err(Error::invalid(
                    format!("{path}/{index}"),
                    format!("there is no feature `{code}`{near}; see feature_list"),
                ));
            }
            found.push(feature);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether this is a feature, or a wildcard over some: of a tool, of a built-in role, or of a part of a source system that
/// has no tools here yet.
fn is_known(registry: &Registry, code: &str) -> bool {
    let known = |feature: &str| covers(code, feature);
    let needed =
        |grant: &str| registry.entries().iter().any(|entry| entry.tool.rights.iter().any(|r| covers(grant, r)));
    let of_source = |grant: &str| known(grant) || (covers(grant, code) && grant != "*" && !needed(grant));
    SOURCE_CODES.iter().any(|(_, features)| features.iter().any(|feature| of_source(feature)))
        || ASKED_INSIDE.iter().any(|(feature, _)| known(feature))
        || registry.entries().iter().any(|entry| entry.tool.rights.iter().any(|right| known(right)))
        || builtin::roles(registry).iter().any(|role| role.features.iter().any(|feature| known(feature)))
}

fn module_of(feature: &str) -> &str {
    feature.split('.').next().unwrap_or(feature)
}

fn module_title(module: &str) -> String {
    MODULES.iter().find(|(id, _)| *id == module).map_or_else(|| sentence(module), |(_, title)| (*title).to_owned())
}

/// `customers.people.view` is «View people», `contracts.view` «View contracts».
fn title_of(feature: &str) -> String {
    if let Some((_, title)) = ASKED_INSIDE.iter().find(|(id, _)| *id == feature) {
        return (*title).to_owned();
    }
    let (path, verb) = feature.rsplit_once('.').unwrap_or((feature, ""));
    let verb = match verb {
        "list" => "view",
        phrase if phrase.contains('_') => return sentence(phrase),
        other => other,
    };
    let thing = path.split_once('.').map_or(path, |(_, thing)| thing).replace(['.', '_'], " ");
    sentence(format!("{verb} {thing}").trim())
}

fn sentence(text: &str) -> String {
    let text = text.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckInput {
    /// The features, such as contracts.view or contracts.*.
    #[schemars(length(min = 1, max = 200))]
    features: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    /// Whether every one of them may be used.
    ok: bool,
    /// Those that may be used.
    granted: Vec<String>,
    /// Those that may not.
    missing: Vec<String>,
    /// UUID of the user behind the call; null for a key that stands for itself.
    #[serde(rename = "userId")]
    user_id: Option<String>,
}

async fn check(ctx: &mut Ctx, input: CheckInput) -> Result<Checked> {
    if input.features.is_empty() || input.features.len() > 200 {
        return Err(Error::invalid("/features", "expected 1 to 200 features"));
    }
    let principal = ctx.principal();
    let may = |code: &String| features_of(code.trim()).iter().all(|feature| principal.may(&[feature.as_str()]));
    let (granted, missing): (Vec<String>, Vec<String>) = input.features.into_iter().partition(may);
    Ok(Checked { ok: missing.is_empty(), granted, missing, user_id: principal.user_id.map(|id| id.to_string()) })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only those of this module, such as contracts.
    module: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    /// The features.
    items: Vec<Feature>,
    /// The modules, with what they are called.
    modules: Vec<Module>,
    /// Codes of the source systems and the features they stand for; accepted wherever features are.
    source_codes: Vec<SourceCode>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Module {
    /// The module, as features begin.
    id: String,
    /// What it is called.
    title: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SourceCode {
    /// The system: mercato, intum, worksection, ibl or ccrm.
    system: &'static str,
    /// Its code.
    code: &'static str,
    /// What it stands for here.
    features: Vec<&'static str>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Listed> {
    let wanted = input.module.as_deref().map(str::trim).filter(|module| !module.is_empty());
    let is_wanted = |feature: &str| wanted.is_none_or(|module| module_of(feature) == module);
    let items: Vec<Feature> =
        catalogue(&ctx.bureau().registry).into_iter().filter(|feature| is_wanted(&feature.id)).collect();
    let mut modules: Vec<Module> = Vec::new();
    for feature in &items {
        if modules.last().is_none_or(|last| last.id != feature.module) {
            modules.push(Module { title: module_title(&feature.module), id: feature.module.clone() });
        }
    }
    let source_codes = SOURCE_CODES
        .iter()
        .filter(|(_, features)| features.iter().any(|feature| is_wanted(feature)))
        .map(|(code, features)| SourceCode { system: system_of(code), code, features: features.to_vec() })
        .collect();
    Ok(Listed { items, modules, source_codes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_what_may_be_done() {
        for (feature, title) in [
            ("contracts.view", "View contracts"),
            ("customers.people.manage", "Manage people"),
            ("auth.users.list", "View users"),
            ("staff.manage_team", "Manage team"),
            ("auth.sessions.manage", "Manage everyone's sessions"),
        ] {
            assert_eq!(title_of(feature), title);
        }
        assert_eq!([module_title("kb"), module_title("warehouse")], ["Knowledge base", "Warehouse"]);
    }

    #[test]
    fn the_catalogue_holds_what_every_tool_needs() {
        let registry = Registry::new(crate::toolsets(), crate::TABLES, "{}").unwrap();
        let catalogue = catalogue(&registry);
        for entry in registry.entries() {
            for right in &entry.tool.rights {
                let feature = catalogue.iter().find(|feature| feature.id == *right).unwrap();
                assert!(feature.tools.contains(&entry.tool.name), "{right}");
            }
        }
        assert!(is_known(&registry, "auth.*") && is_known(&registry, "mail.*") && is_known(&registry, "*"));
        assert!(is_known(&registry, "contracts.change_krok1"), "of a built-in role");
        assert!(!is_known(&registry, "kitchen.sink") && !is_known(&registry, "auth.user.list"));
    }
}
