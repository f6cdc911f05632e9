# bash completion for teleport-upgrade(8)
_teleport_upgrade() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $before == --config ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--config --quiet --verbose --raw --proxy --channel --version --help' -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W 'run dry-run force rollback install version help setup release' -- "$word")
    fi
}
complete -F _teleport_upgrade teleport-upgrade
