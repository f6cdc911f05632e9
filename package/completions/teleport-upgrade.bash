# bash completion for teleport-upgrade(8)
_teleport_upgrade() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $before == --config ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--config --quiet --verbose --raw --help' -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W 'run dry-run force version help setup release' -- "$word")
    fi
}
complete -F _teleport_upgrade teleport-upgrade
