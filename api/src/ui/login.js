// Logging in with an identity provider, from a page: authorisation code with PKCE. The page that sends somebody there and the page that the
// provider sends back to share this file. What proves that both are one login stays in this tab; the code alone is worth nothing.
"use strict";

const LOGIN = "skep-login";
const SESSION = "skep-token";
const RETURN = "/ui/login";

/** Bytes as addresses can carry them. */
function base64url(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function ask(method, path, body) {
  const response = await fetch(path, {
    method, body: body && JSON.stringify(body), headers: body ? { "content-type": "application/json" } : {},
    cache: "no-store", credentials: "omit", redirect: "error",
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ? `${answer.detail}: ${answer.help ?? "try again later"}.` : `The server answered ${response.status}.`);
  return answer;
}

/** Where people log in; nothing if they do not, or if this page may not know secrets (it came over plain HTTP). */
async function provider() {
  if (!window.isSecureContext) return undefined;
  try {
    return (await ask("GET", "/v1/login/web")).provider;
  } catch {
    return undefined;
  }
}

/** Sends the browser to the provider. */
async function begin(provider) {
  const login = { state: random(), nonce: random(), verifier: random(), issuer: provider.issuer };
  const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(login.verifier)));
  const to = new URL(provider.authorizationEndpoint);
  const query = {
    response_type: "code", client_id: provider.clientId, redirect_uri: location.origin + RETURN, scope: "openid email profile",
    state: login.state, nonce: login.nonce, code_challenge: challenge, code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(query)) to.searchParams.set(name, value);
  sessionStorage.setItem(LOGIN, JSON.stringify(login));
  location.assign(to);
}

/** What the provider sent back, once, and only if it belongs to the login that this tab began. */
function returned() {
  const query = new URLSearchParams(location.search);
  // Neither the history nor anything that is opened from here needs to know it.
  history.replaceState(null, "", RETURN);
  const begun = JSON.parse(sessionStorage.getItem(LOGIN) ?? "null");
  sessionStorage.removeItem(LOGIN);
  const one = (name) => {
    const values = query.getAll(name);
    return values.length === 1 ? values[0] : undefined;
  };
  const issuer = query.has("iss") ? one("iss") : begun?.issuer;
  if (begun === null || one("state") !== begun.state || issuer !== begun.issuer) {
    throw new Error("This is not the end of a login that was begun in this tab.");
  }
  if (query.has("error")) throw new Error(`The identity provider refused the login: ${one("error_description") ?? one("error") ?? "no reason"}.`);
  const code = one("code");
  if (!code) throw new Error("The identity provider sent no code.");
  return { code, codeVerifier: begun.verifier, nonce: begun.nonce, redirectUri: location.origin + RETURN };
}

async function finish() {
  try {
    const made = await ask("POST", "/v1/login/web", returned());
    sessionStorage.setItem(SESSION, made.token);
    location.replace("/ui/drift");
  } catch (error) {
    document.getElementById("outcome").textContent = "You are not logged in.";
    document.getElementById("refusal").textContent = error.message;
    document.getElementById("refusal").hidden = false;
    document.getElementById("back").hidden = false;
  }
}

/** The button of a page that can be entered by logging in. */
async function offer() {
  const found = await provider();
  if (!found) return;
  document.getElementById("login-hint").textContent = `You log in at ${new URL(found.issuer).host}. The session stays in this tab, and ends when you sign out.`;
  document.getElementById("login").hidden = false;
  document.getElementById("log-in").addEventListener("click", () => begin(found));
}

if (document.getElementById("main").dataset.page === "returned") finish();
else offer();
