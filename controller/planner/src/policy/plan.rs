//! Which plans an organisation's environments may name: its own, and those that its own lists.

use skep_schemas::ResourceName;
use skep_schemas::kind::{Enforcement, PlanSpec};

use super::Violation;

/// What an organisation's plan says against an environment that names another. An organisation without a plan is limited by none, so it may
/// name any.
pub fn violation(own: Option<(&ResourceName, &PlanSpec)>, named: Option<&ResourceName>) -> Option<Violation> {
    let ((own, plan), named) = (own?, named?);
    if named == own || plan.environment_plans.contains(named) {
        return None;
    }
    let others: Vec<&str> = plan.environment_plans.iter().map(ResourceName::as_str).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!(" or {}", others.join(", ")),
    };
    Some(Violation {
        policy: format!("Plan/{own}"),
        why: format!("an environment of plan {named}, only of {own}{others}"),
        enforcement: Enforcement::Block,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_environment_names_its_organisations_plan_or_one_that_that_lists() {
        let plan: PlanSpec = serde_json::from_value(json!({
            "instance": {"cpu": "1", "memory": "64Mi"}, "environmentPlans": ["small", "tiny"],
        }))
        .unwrap();
        let own: ResourceName = "hobby".parse().unwrap();
        let said = |named: &str| {
            let named = named.parse().unwrap();
            violation(Some((&own, &plan)), Some(&named)).map(|violation| violation.to_string())
        };
        assert_eq!((said("hobby"), said("tiny")), (None, None));
        assert_eq!(
            said("business").as_deref(),
            Some("Plan/hobby does not allow an environment of plan business, only of hobby or small, tiny")
        );
        assert_eq!(violation(Some((&own, &plan)), None), None);
        assert_eq!(violation(None, Some(&own)), None);
    }
}
