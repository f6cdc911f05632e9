# fish completion for teleport-upgrade(8)
complete -c teleport-upgrade -f
complete -c teleport-upgrade -n __fish_use_subcommand -a run -d 'Check, and upgrade if it is due and a window is open'
complete -c teleport-upgrade -n __fish_use_subcommand -a dry-run -d 'Say what run would do now and why; change nothing'
complete -c teleport-upgrade -n __fish_use_subcommand -a force -d 'Upgrade now if a version is due'
complete -c teleport-upgrade -n __fish_use_subcommand -a version -d 'Print the version of this program'
complete -c teleport-upgrade -n __fish_use_subcommand -a help -d 'Print the help'
complete -c teleport-upgrade -n __fish_use_subcommand -a setup -d 'Make this host ready (for package scripts)'
complete -c teleport-upgrade -n __fish_use_subcommand -a release -d 'End the hold on the agent (for package scripts)'
complete -c teleport-upgrade -l config -r -a '(__fish_complete_directories)' -d 'Configuration directory'
complete -c teleport-upgrade -s q -l quiet -d 'Say nothing unless something is wrong or is changed'
complete -c teleport-upgrade -s v -l verbose -d 'Say what is read and run, too'
complete -c teleport-upgrade -l raw -n '__fish_seen_subcommand_from version' -d 'Without the v'
complete -c teleport-upgrade -s h -l help -d 'Print the help'
