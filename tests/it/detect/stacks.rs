//! Small trees, modelled on real ones, and what they are taken for.

use cas::config::{detect::NeedKind, import::Role};

/// Tree, services, tasks.
const STACKS: &[(&str, &[&str], &[&str])] = &[
    (
        "angular",
        &["angular-app: npm run start :4200 from package.json:1"],
        &["build: npm run build from package.json:1"],
    ),
    ("astro", &["astro-site: npm run dev :4321 from package.json:1"], &["build: npm run build from package.json:1"]),
    (
        "clash",
        &["a-app: npm run dev in a :3000 from a/package.json:1", "b-app: npm run dev in b from b/package.json:1"],
        &[],
    ),
    ("cra", &["cra: npm run start :3000 from package.json:1"], &["build: npm run build from package.json:1"]),
    ("deno", &["deno: deno task dev :8100 from deno.json:1"], &[]),
    (
        "django-celery",
        &[
            "web: python3 manage.py runserver 8000 :8000 from manage.py:3",
            "celery-worker: celery -A shop worker --loglevel=info from shop/celery.py:2",
            "celery-beat: celery -A shop beat --loglevel=info from shop/celery.py:3",
        ],
        &[],
    ),
    ("docs-makefile", &[], &[]),
    ("dotnet-console", &["dotnet-console: dotnet run from Program.cs:3"], &[]),
    ("dotnet-web", &["dotnet-web: dotnet run :5244 from Shop.Web.csproj:1"], &[]),
    ("express", &["express-api: npm run start :4001 from package.json:1"], &["test: npm run test from package.json:1"]),
    ("express-missing", &["gone: npm run start from package.json:1"], &[]),
    ("fastapi-uv", &["api: uv run uvicorn app.main:app --reload --port 8000 :8000 from app/main.py:3"], &[]),
    (
        "flask-env",
        &[
            "web: flask run --port 5050 :5050 from .flaskenv:1",
            "rq-worker: rq worker diary-tasks from requirements.txt:3",
        ],
        &[],
    ),
    ("flask-factory", &["web: pipenv run flask --app web run --port 5000 :5000 from web/__init__.py:4"], &[]),
    ("flask-made", &["web: flask --app run_shop run --port 5000 :5000 from run_shop.py:3"], &[]),
    ("flask-poetry", &["web: poetry run flask run --port 5001 :5001 from app.py:2"], &[]),
    (
        "flask-wsgi-rq",
        &[
            "charts-client: pnpm run start :8080 from package.json:4",
            "web: flask --app charts.wsgi run --port 5000 :5000 from charts/wsgi.py:3",
            "rq-scheduler: python3 manage.py rq scheduler from bin/docker-entrypoint:3",
            "rq-worker: python3 manage.py rq worker from bin/docker-entrypoint:4",
        ],
        &[],
    ),
    ("garbage", &[], &[]),
    ("go-air", &["app: air :9000 from main.go:1"], &[]),
    (
        "go-cmd",
        &["server: go run ./cmd/server :8081 from cmd/server/main.go:1"],
        &["migrate: go run ./cmd/migrate from cmd/migrate/main.go:1"],
    ),
    ("go-subcommand", &["forge: go run ./cmd/forge web from cmd/forge/main.go:1"], &[]),
    ("gunicorn-conf", &["web: gunicorn :8030 from gunicorn.conf.py:2"], &[]),
    ("gunicorn-wsgi", &["web: gunicorn -b 127.0.0.1:8000 shop.wsgi:application :8000 from shop/wsgi.py:3"], &[]),
    ("hugo", &["site: hugo server --port 1313 :1313 from hugo.toml:1"], &[]),
    ("jekyll", &["site: bundle exec jekyll serve --port 4000 :4000 from Gemfile:1"], &[]),
    ("justfile", &["api: just api :8101 from justfile:3", "worker: just worker from justfile:6"], &[]),
    (
        "laravel",
        &[
            "web: php artisan serve --port=8000 :8000 from composer.json:1",
            "queue: php artisan queue:work from composer.json:1",
        ],
        &[],
    ),
    (
        "laravel-vite",
        &[
            "assets: npm run dev :5173 from package.json:1",
            "web: php artisan serve --port=8000 :8000 from composer.json:1",
            "queue: php artisan queue:work from composer.json:1",
        ],
        &[],
    ),
    ("makefile", &["dev: make dev :7000 from Makefile:7"], &[]),
    ("monorepo", &["shop: npm run dev in apps/shop :5173 from apps/shop/package.json:1"], &[]),
    (
        "names",
        &[
            "django: python3 manage.py runserver 8000 in django/app :8000 from django/app/manage.py:3",
            "mails: npm run dev in mails/src :8303 from mails/src/package.json:1",
            "orders-backend: go run . in orders/backend :8301 from orders/backend/main.go:1",
            "stock-backend: go run . in stock/backend :8302 from stock/backend/main.go:1",
        ],
        &[],
    ),
    (
        "nest",
        &["nest-api: npm run start:dev :3005 from package.json:1"],
        &["build: npm run build from package.json:1", "test: npm run test from package.json:1"],
    ),
    (
        "next-pnpm",
        &["web: pnpm run dev :3000 from package.json:4"],
        &["build: pnpm run build from package.json:4", "lint: pnpm run lint from package.json:4"],
    ),
    ("node-cli", &[], &[]),
    ("node-main", &["tally: node server.js :4000 from server.js:4"], &["test: npm run test from package.json:4"]),
    (
        "node-worker",
        &["queue-app: npm run dev :3333 from package.json:1", "worker: npm run worker from package.json:1"],
        &[],
    ),
    ("nuxt", &["nuxt-app: bun run dev :3000 from package.json:1"], &[]),
    ("phoenix", &["web: mix phx.server :4000 from mix.exs:2"], &[]),
    ("rails-bin-dev", &["web: bin/rails server -p 3000 :3000 from Gemfile:1"], &[]),
    ("rails-procfile-dev", &["web: bin/dev :3000 from Gemfile:2"], &[]),
    ("rails-railties", &["web: bin/rails server -p 3000 :3000 from Gemfile:1"], &[]),
    (
        "rails-sidekiq",
        &["web: bin/rails server -p 3000 :3000 from Gemfile:2", "sidekiq: bundle exec sidekiq from Gemfile:3"],
        &[],
    ),
    ("remix", &["remix-app: yarn run dev :3000 from package.json:1"], &[]),
    ("rust-parsed-address", &["articles: cargo run -p articles --bin articles :8088 from Cargo.toml:1"], &[]),
    (
        "rust-workspace",
        &["api: cargo run -p api --bin api in crates/api :3100 from crates/api/Cargo.toml:1"],
        &["seed: cargo run -p api --bin seed in crates/api from crates/api/Cargo.toml:1"],
    ),
    ("sinatra", &["web: bundle exec rackup -p 9292 :9292 from Gemfile:1"], &[]),
    ("spring-gradle", &["spring-gradle: ./gradlew bootRun :8080 from build.gradle.kts:2"], &[]),
    ("spring-maven", &["spring-maven: ./mvnw spring-boot:run :8085 from pom.xml:2"], &[]),
    ("static", &["site: python3 -m http.server 8000 :8000 from index.html:1"], &[]),
    ("streamlit", &["app: streamlit run dash.py --server.port 8501 :8501 from dash.py:1"], &[]),
    ("sveltekit", &["svelte-app: npm run dev :5173 from package.json:1"], &[]),
    ("taskfile", &["serve: task serve :7100 from Taskfile.yml:6"], &[]),
    (
        "turborepo",
        &[
            "docs: pnpm run dev in apps/docs :3000 from apps/docs/package.json:1",
            "web: pnpm run dev in apps/web :3001 from apps/web/package.json:1",
        ],
        &[
            "build: pnpm run build from package.json:1",
            "lint: pnpm run lint in packages/ui from packages/ui/package.json:1",
        ],
    ),
    ("versions", &["v: npm run start from package.json:1"], &[]),
    ("vite-port", &["page: npm run dev :5199 from package.json:1"], &["build: npm run build from package.json:1"]),
];

const NOTES: &[(&str, &str)] = &[
    ("clash", "b/package.json:1 b-app would listen on port 3000, as a-app does"),
    ("express", "src/index.js:3 the code reads REDIS_URI, and .env.example names REDIS_URL"),
    ("express-missing", "package.json:1 the script start runs server.js, and there is no such file"),
    ("fastapi-uv", "pyproject.toml:3 pyproject.toml says Python >=3.12, and .python-version says 3.11"),
    ("versions", "package.json:1 package.json says Node >=20, and .nvmrc says 18.19.0"),
];

const NEEDS: &[(&str, NeedKind, &str, Option<&str>)] = &[
    ("django-celery", NeedKind::Redis, "REDIS_URL", None),
    ("express", NeedKind::Postgres, "DATABASE_URL", Some("localhost:5432")),
    ("express", NeedKind::Redis, "REDIS_URI", None),
    ("express", NeedKind::Redis, "REDIS_URL", Some("localhost:6379")),
    ("express", NeedKind::Smtp, "SMTP_HOST", None),
    ("laravel", NeedKind::Database, "DB_HOST", None),
    ("laravel", NeedKind::Redis, "REDIS_HOST", Some("127.0.0.1:6379")),
];

#[test]
fn each_stack_gives_its_services_with_command_directory_port_and_place() {
    let known: Vec<_> = STACKS.iter().map(|(name, _, _)| (*name).to_owned()).collect();
    assert_eq!(super::names(), known);
    for (name, services, tasks) in STACKS {
        let found = super::stack(name);
        let root = super::fixtures().join(name);
        assert_eq!(super::lines(&root, &found.candidates, Role::Service), *services, "{name}");
        assert_eq!(super::lines(&root, &found.candidates, Role::Task), *tasks, "{name}");
    }
}

#[test]
fn what_two_files_disagree_on_is_noted_at_its_line() {
    let mut notes = Vec::new();
    for name in super::names() {
        let root = super::fixtures().join(&name).canonicalize().unwrap();
        for note in super::stack(&name).notes {
            let file = note.source.file.strip_prefix(&root).unwrap().display().to_string();
            notes.push((name.clone(), format!("{file}:{} {}", note.source.line, note.message)));
        }
    }
    let expected: Vec<_> = NOTES.iter().map(|(name, note)| ((*name).to_owned(), (*note).to_owned())).collect();
    assert_eq!(notes, expected);
}

#[test]
fn needs_have_their_kind_and_host_and_never_a_credential() {
    let mut needs = Vec::new();
    for name in super::names() {
        let found = super::stack(&name);
        assert!(!format!("{found:?}").contains("s3cret"), "{name}");
        needs.extend(found.needs.into_iter().map(|need| (name.clone(), need.kind, need.variable, need.endpoint)));
    }
    let expected: Vec<_> = NEEDS
        .iter()
        .map(|(name, kind, variable, at)| ((*name).to_owned(), *kind, (*variable).to_owned(), at.map(str::to_owned)))
        .collect();
    assert_eq!(needs, expected);
}
