//! What was being done when the database failed.

macro_rules! operations {
    ($($name:ident => $text:literal,)*) => {
        /// What was being done when the database failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $(#[doc = $text] $name,)*
        }

        impl std::fmt::Display for Operation {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

operations! {
    Setup => "set up the database",
    Ping => "reach the database",
    Apply => "apply manifests",
    Delete => "delete a resource",
    Read => "read resources",
    List => "list resources",
    Watch => "read changes",
    Compact => "compact the change log",
    BeginPlan => "record a plan",
    Step => "record a step",
    Drift => "note drift",
    Intervene => "pause, resume or retry a resource",
    SetOwner => "give a resource another owner",
    RollBack => "return an environment to a release",
    Cancel => "cancel a release",
    Run => "ask for a run",
    Form => "scale, restart, stop or start an environment",
    Suspend => "suspend an organisation or let it go on",
    Learn => "note what was found of objects",
    Forget => "forget objects",
    Finalize => "finalise a resource",
    Report => "write a status or an event",
    Subnet => "allocate a subnet",
    OpenSecret => "read a sealed value",
    RotateSecret => "change the value of a secret",
    MasterKey => "read or change the master key",
    Lease => "change a lease",
    Token => "read or write tokens",
    People => "read or write people",
    Audit => "read or write the audit",
    Safety => "read or write holds and orphans",
    KeyedRequest => "read or write requests with a key",
    LeftImage => "read which images no release names any more",
    Scan => "read or note what scanners say of images",
    Signature => "read or note what is known of signatures",
    Notify => "read or note messages of Notifications",
    Sweep => "remove what is no longer kept",
}
