# Completion of millrace's commands, options and their words, for bash: source it, from ~/.bashrc or by hand.
# It asks the program's own --help, so it knows whatever the program knows.

_millrace() {
  local program="${COMP_WORDS[0]}" word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}"
  local i path=() help words
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [[ "${COMP_WORDS[i]}" == -* ]] && break
    help="$("$program" "${path[@]}" --help 2>/dev/null)"
    grep -qE "^  ${COMP_WORDS[i]} " <<<"${help#*Subcommands:}" || break
    path+=("${COMP_WORDS[i]}")
  done
  help="$("$program" "${path[@]}" --help 2>/dev/null)" || return

  # What an option may be stands in braces behind its type.
  [[ "$before" == --* ]] && words="$(sed -nE "s/^ +(-[a-z],)?$before [A-Z]+:\{([^}]*)\}.*/\2/p" <<<"$help" | tr ',' ' ')"
  if [[ -n "$words" ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    return
  fi
  if [[ "$word" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z-]+' <<<"$help" | sort -u)" -- "$word")
    return
  fi
  [[ "${path[*]}" == plugins ]] && words="$("$program" plugins | cut -d' ' -f1)"
  [[ "$help" == *Subcommands:* ]] && words="$(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"${help#*Subcommands:}")"
  if [[ -n "$words" ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    return
  fi
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$word")
}

complete -F _millrace millrace
