/** `weft completion`: scripts for shells. What they offer they ask `weft __complete` for, so they are never behind the commands. */
import { Argument, type Command } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;

const examples = `
\`make install\` puts the scripts where the shells look for them: bash-completion/completions/weft, zsh/vendor-completions/_weft and
fish/vendor_completions.d/weft.fish below /usr/share.

Examples:
  weft completion bash > /etc/bash_completion.d/weft
  weft completion zsh > /usr/local/share/zsh/site-functions/_weft
  weft completion fish > /etc/fish/completions/weft.fish
`;

/** Adds the command. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print a script with which a shell completes commands, options, tenants and endpoints')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText('after', examples)
    .action((shell: (typeof shells)[number]) => void process.stdout.write(scripts[shell]));
}

/** CNI_COMMAND would make a plugin of what is asked. `=` is a word of its own for bash; weft knows. */
const bash = `# Completion of weft for bash, with or without bash-completion.
_weft() {
  local line current=\${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <(unset CNI_COMMAND; "\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _weft weft
`;

const zsh = `#compdef weft
# Completion of weft for zsh.
_weft() {
  local line value
  local -a candidates
  local -i files=0
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      files=1
    else
      value=\${line%%$'\\t'*}
      candidates+=("\${value//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done < <(unset CNI_COMMAND; "\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#candidates )) && _describe -V weft candidates
  (( files )) && _files
  (( files || $#candidates ))
}
if [[ $funcstack[1] == _weft ]]; then
  _weft "$@"
else
  compdef _weft weft
fi
`;

const fish = `# Completion of weft for fish.
function __weft_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (env -u CNI_COMMAND $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c weft -f -a '(__weft_complete)'
`;

const scripts: Readonly<Record<(typeof shells)[number], string>> = { bash, zsh, fish };
