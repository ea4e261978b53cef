//! The platform as a whole.

use crate::panel::row::rows;
use crate::panel::{platform, resource};

rows! {
    Get "/api/admin/paas/overview" "getAdminPaasOverview":
        Read of Platform, "The platform at a glance."
        => "Organization";
    Get "/api/admin/paas/metrics" "getAdminPaasMetrics":
        ReadMetrics of Platform, "What the platform uses."
        => "Node", "GET /metrics";
    Get "/api/admin/paas/analytics" "getAdminPaasAnalytics":
        Read of Platform, "Who uses how much."
        => "Organization";
    Get "/api/admin/paas/builds" "getAdminPaasBuilds":
        Read of Platform, "What is being built."
        => "App";
    Get "/api/admin/paas/apps" "getAdminPaasApps":
        Read of Platform, "The apps of all organisations."
        => "App", "GET /v1/apps"
        => resource::list_all_apps, "the_platform_sees_the_apps_of_all_organisations_and_deletes_plans";
    Get "/api/admin/paas/applications" "getAdminPaasApplications":
        Read of Platform, "The apps of all organisations."
        => "App", "GET /v1/apps"
        => resource::list_all_apps, "the_platform_sees_the_apps_of_all_organisations_and_deletes_plans";
    Put "/api/admin/paas/settings" "putAdminPaasSettings":
        Write of Platform, "Change what holds for the platform: its features."
        => "Platform", "PUT /v1/platforms/{name}"
        => platform::settings, "a_gate_is_closed_and_opened_by_the_platform_and_by_nobody_else";
}
