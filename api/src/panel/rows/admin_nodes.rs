//! Nodes, for the platform.

use crate::panel::row::rows;

rows! {
    Post "/api/admin/paas/nodes" "postAdminPaasNodes":
        Write of Platform, "Let a node join."
        => "Node";
    Get "/api/admin/paas/nodes" "getAdminPaasNodes":
        Read of Platform, "The nodes."
        => "Node";
    Get "/api/admin/paas/nodes/{uid}" "getAdminPaasNodesByUid":
        Read of Platform, "One node."
        => "Node";
    Delete "/api/admin/paas/nodes/{uid}" "deleteAdminPaasNodesByUid":
        Delete of Platform, "Remove a node."
        => "Node";
    Post "/api/admin/paas/nodes/{uid}/drain" "postAdminPaasNodesByUidDrain":
        Write of Platform, "Move what runs on a node elsewhere."
        => "Node";
    Get "/api/admin/paas/workers" "getAdminPaasWorkers":
        Read of Platform, "The nodes."
        => "Node";
    Post "/api/admin/paas/workers" "postAdminPaasWorkers":
        Write of Platform, "Let a node join."
        => "Node";
    Post "/api/admin/paas/workers/setup-code" "postAdminPaasWorkersSetupCode":
        Write of Platform, "The command with which a node joins."
        => "Node";
    Get "/api/admin/paas/workers/{uid}" "getAdminPaasWorkersByUid":
        Read of Platform, "One node."
        => "Node";
    Put "/api/admin/paas/workers/{uid}" "putAdminPaasWorkersByUid":
        Write of Platform, "Change a node."
        => "Node";
    Delete "/api/admin/paas/workers/{uid}" "deleteAdminPaasWorkersByUid":
        Delete of Platform, "Remove a node."
        => "Node";
    Post "/api/admin/paas/swarm/init" "postAdminPaasSwarmInit":
        Write of Platform, "Begin a Swarm."
        => "Node";
    Get "/api/admin/paas/clusters" "getAdminPaasClusters":
        Read of Platform, "The clusters of all organisations."
        => "IsolationTier", "GET /v1/isolationtiers";
}
