# bash completion for teleport-upgrade(8)
_teleport_upgrade() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options='--config --quiet --verbose --help'
    local commands='run dry-run status force pause resume rollback install version help setup release'
    COMPREPLY=()
    case " ${COMP_WORDS[*]} " in
        *' status '*) options+=' --json --offline' ;;
        *' pause '*) options+=' --until --for --reason --even-critical' ;;
        *' install '*) options+=' --proxy --channel --version' ;;
        *' version '*) options+=' --raw' ;;
    esac
    case $before in
        --config) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        --for) mapfile -t COMPREPLY < <(compgen -W '12h 1d 7d 14d' -- "$word") ;;
        --until | --reason | --proxy | --channel) ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
            fi
            ;;
    esac
}
complete -F _teleport_upgrade teleport-upgrade
