/** Shells that have a script. */
export const shells = ["bash", "zsh", "fish"] as const;

/**
 * The scripts. Each asks `ts-ms __complete SHELL WORDS…`, which prints a candidate each line as the shell has it, or
 * `:files`, `:folders` where the shell completes paths itself, or `:nospace` where a word goes on behind a candidate.
 * The one of zsh fails where it adds nothing: after a failure zsh asks once more, for its next completer, and rings the
 * bell.
 */
export const scripts: Readonly<Record<(typeof shells)[number], string>> = {
  bash: `_ts_ms() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :files) compopt -o default ;;
      :folders) compopt -o dirnames ;;
      :nospace) compopt -o nospace ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <(ts-ms __complete bash "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _ts_ms ts-ms
`,
  zsh: `#compdef ts-ms
_ts_ms() {
  local line
  local -i failed=1
  local -a found space paths
  while IFS= read -r line; do
    case "$line" in
      :files) paths=(_files) ;;
      :folders) paths=(_files -/) ;;
      :nospace) space=(-S '') ;;
      *) found+=("$line") ;;
    esac
  done < <(ts-ms __complete zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#found )) && _describe 'ts-ms' found $space && failed=0
  (( $#paths )) && $paths && failed=0
  return failed
}
if [ "$funcstack[1]" = "_ts_ms" ] || [ "$funcstack[1]" = "_ts-ms" ]; then _ts_ms "$@"; else compdef _ts_ms ts-ms; fi
`,
  fish: `function __ts_ms_complete
  set -l words (commandline -opc) "$(commandline -ct)"
  for line in (ts-ms __complete fish $words[2..-1] 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$(commandline -ct)"
      case :folders
        __fish_complete_directories "$(commandline -ct)"
      case :nospace
      case '*'
        echo $line
    end
  end
end
complete -c ts-ms -f -a '(__ts_ms_complete)'
`,
};
