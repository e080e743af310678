//! The guards that keep callers within their rights, by name, so that tests can take one away and see who notices.
//!
//! Only a test build with the feature `mutation` can: there [`stands`] asks the environment variable `BUREAU_WITHOUT`. Anywhere
//! else it is the constant `true`, and the compiler leaves nothing of it. A release build with the feature does not compile.

#[cfg(all(feature = "mutation", not(debug_assertions)))]
compile_error!("the feature `mutation` takes guards away: it is for tests, never for a release");

macro_rules! guards {
    ($($(#[doc = $about:literal])+ $name:ident,)+) => {
        /// A guard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Guard {
            $($(#[doc = $about])+ $name,)+
        }

        impl Guard {
            /// Every guard.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name, as `BUREAU_WITHOUT` takes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

guards! {
    /// Every statement within a tenant names that tenant.
    TenantFilter,
    /// PostgreSQL's policies repeat the tenant filter.
    RowLevelSecurity,
    /// Whoever is limited to organizations reads no others' records.
    OrganizationFilter,
    /// Whoever is limited to organizations puts records into no others.
    RecordOrganization,
    /// A preview shows nothing of organizations that the caller may not see.
    PreviewWithinOrganizations,

    /// A tool needs its right.
    ToolRight,
    /// Wildcards end at a dot.
    WholeNames,
    /// What reaches beyond a tenant is held by super administrators only.
    InstallationRights,
    /// A token gives only the features that it was narrowed to.
    TokenFeatures,
    /// A token opens only the toolsets that it was narrowed to.
    TokenToolsets,
    /// A read-only token does not write.
    TokenReadOnly,
    /// A token writes as often as its budget says.
    TokenBudget,
    /// A token ends at its time.
    TokenEnd,
    /// A session that was revoked is void.
    SessionRevoked,
    /// Tokens of a blocked user are void.
    UserActive,
    /// Tokens of a closed tenant are void.
    TenantActive,
    /// Rights that changed are read again.
    RightsEpoch,
    /// Changing rights voids what was remembered of them.
    RightsEpochRaised,
    /// A personal grant replaces the roles.
    PersonalGrant,
    /// A session limited to an organization stays within those of its holder.
    ScopeWithinHeld,
    /// A session stays within the organizations that its ancestors are limited to, wherever its own was moved.
    ScopeWithinAncestors,
    /// `_sessionToken` is of whoever holds the connection.
    SessionTokenOwner,
    /// An OAuth token without the scope to write only reads.
    OauthScope,
    /// An address counts only when the issuer has verified it.
    OauthEmail,
    /// Without a credential there are public tools only.
    Credential,
    /// What is switched off where a call comes in cannot be called.
    Selection,
    /// An executor carries out tools of its own danger only.
    ExecutorDanger,
    /// Every call in a batch passes the gate.
    BatchAdmission,

    /// A dry run keeps nothing.
    DryRun,
    /// `expected_version` is compared.
    ExpectedVersion,
    /// An idempotency key is its caller's own.
    IdempotencyActor,
    /// An idempotency key belongs to one input.
    IdempotencyInput,
    /// A repeated answer leaves the secret out.
    ShownOnce,
    /// Secret columns never reach the journal.
    JournalSecrets,
    /// Only one's own actions are undone without a right to others'.
    UndoOfOthers,
    /// Undo needs the right of the tool whose work it takes back.
    UndoToolRight,
    /// Undo stops at what has changed since.
    UndoConflict,
    /// News reach only those of the tenant and organizations.
    NewsWithin,

    /// Nobody gives, or takes charge of, more than they hold.
    GiveNoMore,
    /// Nobody gives a role that reaches beyond their organizations.
    RoleWithinOrganizations,
    /// Nobody takes charge of a person who reaches beyond their organizations.
    PersonWithinOrganizations,
    /// Nobody else takes charge of a super administrator.
    SuperAdminAbove,
    /// Organizations are changed and named within reach only.
    OrganizationReach,
    /// A tenant keeps an owner.
    LastOwner,
    /// Owners, permanent users and the caller are not blocked or deleted.
    ProtectedUser,
    /// A new token ends with what it is minted from.
    ChildEnd,
    /// A new token inherits the features that its parent is limited to.
    ChildFeatures,
    /// A new token names no toolset that its parent leaves out.
    ChildToolsets,
    /// A new token inherits the organization that its parent is limited to.
    ChildScope,
    /// Writes of a limited parent are divided.
    ChildBudget,
    /// A refresh goes no further than the parent's end.
    RefreshWithinParent,
    /// Ending a token ends everything made from it.
    Descendants,
    /// Sessions of others are touched by right only.
    SessionOfOthers,
    /// A session with limits that a key cannot carry makes none.
    KeyOfLimitedSession,
    /// A key made by a session ends with it.
    KeyEnd,
    /// The action log shows others' doings by right only.
    LogOfOthers,
    /// Hidden columns stay out of the action log.
    LogHidden,
    /// What others may do is explained by right only.
    ExplainOthers,
    /// Guessing passwords is slowed down.
    LoginAttempts,
}

/// Whether a guard is there.
#[cfg(not(feature = "mutation"))]
#[inline(always)]
pub const fn stands(_: Guard) -> bool {
    true
}

/// Whether a guard is there.
#[cfg(feature = "mutation")]
pub fn stands(guard: Guard) -> bool {
    static WITHOUT: std::sync::LazyLock<Vec<Guard>> = std::sync::LazyLock::new(|| {
        let names = std::env::var("BUREAU_WITHOUT").unwrap_or_default();
        let named = |name: &str| Guard::ALL.iter().copied().find(|guard| guard.name() == name);
        names.split(',').filter_map(named).collect()
    });
    !WITHOUT.contains(&guard)
}
