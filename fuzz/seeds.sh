#!/usr/bin/env bash
# Makes the corpus of the fuzzer from the tests' fixtures, and its dictionary from the words that the code knows.
set -euo pipefail
cd "$(dirname "$0")"
corpus=corpus/read
mkdir -p "$corpus"
seed() { # seed NUMBER NAME FILE...: the first byte, then the files with a NUL between them
    local number=$1 name=$2 first=1
    shift 2
    { printf "\\$(printf %03o "$number")"
      for file in "$@"; do [ "$first" = 1 ] || printf '\0'; first=0; cat "$file"; done; } > "$corpus/$number-$name"
}
number=0
for format in compose devbox devcontainer mprocs tiltfile skaffold pm2 process-compose procfile supervisord systemd; do
    case $format in tiltfile | skaffold) directory=noted ;; devcontainer) directory=compose ;; *) directory=$format ;; esac
    while IFS= read -r file; do
        seed "$number" "$(echo "${file#../tests/fixtures/import/}" | tr '/ ' '__')" "$file"
    done < <(find "../tests/fixtures/import/$directory" -type f ! -name '*.expected' ! -name MANIFEST.tsv)
    number=$((number + 1))
done
printf 'services: {a: {command: [x, y], env_file: .env, environment: {A: "${B:-c}"}}}\n\0B="q ${C}"\nexport D=1\n' > rest
seed 11 small rest
seed 11 init ../assets/init.yaml
seed 12 small ../tests/fixtures/import/compose/web-and-database.yaml
for file in ../tests/fixtures/detect/*/package.json; do seed 13 "$(basename "$(dirname "$file")")" "$file"; done
rm rest
grep -rohE '"[A-Za-z_-]{3,24}"' ../src/config ../assets/detect | sort -u > corpus/words.dict
echo "$(ls "$corpus" | wc -l) seeds, $(wc -l < corpus/words.dict) words"
