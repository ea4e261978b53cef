//! Addons, and the hooks of Git hosts.

use crate::panel::row::rows;

rows! {
    Post "/api/paas/environments/{uid}/addons" "postPaasEnvironmentsByUidAddons":
        Write of Environment, "Give an environment an addon."
        => "Addon";
    Get "/api/paas/environments/{uid}/addons" "getPaasEnvironmentsByUidAddons":
        Read of Environment, "The addons of an environment."
        => "Addon";
    Post "/api/paas/addons" "postPaasAddons":
        Write of Environment, "Create an addon."
        => "Addon";
    Get "/api/paas/addons" "getPaasAddons":
        Read of Environment, "The addons of the organisation."
        => "Addon";
    Get "/api/paas/addons/{uid}" "getPaasAddonsByUid":
        Read of Environment, "One addon."
        => "Addon";
    Delete "/api/paas/addons/{uid}" "deletePaasAddonsByUid":
        Delete of Environment, "Delete an addon."
        => "Addon";
    Post "/api/paas/addons/{uid}/backup" "postPaasAddonsByUidBackup":
        Write of Environment, "Back an addon up."
        => "Addon";
    Post "/api/paas/webhooks/{secret}" "postPaasWebhooksBySecret":
        Write of App, "Take a push of a Git host."
        => "Webhook";
}
