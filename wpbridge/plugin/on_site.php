<?php
/*
 * The seventh part of the companion plugin: wpbridge's dashboard on the site's own address.
 */

if ( ! class_exists( 'Wpbridge_On_Site', false ) ) {

	/**
	 * Answers requests for /wpbridge/ by handing them to `wpbridge serve` on this host, and its answer back.
	 *
	 * WordPress says who the person is. A header says it to the server, signed over all that is handed on, for 30 seconds and
	 * for once. No cookie and no password goes there. A change must have a nonce of WordPress, since WordPress, its plugins
	 * and its uploads share the site's address. Written in the PHP of 5.6, as the first part.
	 */
	final class Wpbridge_On_Site {

		/** Where it lies below the site's address. */
		const NAME = '/wpbridge';

		/** What the nonce of changes is made for. */
		const NONCE = 'wpbridge';

		/** The only servers that are ever asked. */
		const LOOPBACK = '~\A(?:tcp://(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):\d{1,5}|unix:///[^\x00]+)\z~';

		/** How long the header counts. */
		const FORWARD_SECONDS = 30;

		/** How long the server may take to accept, and to answer. */
		const CONNECT_SECONDS = 2;
		const ANSWER_SECONDS  = 15;

		/** The largest body of a request, and of an answer. */
		const MOST_ASKED    = 1048576;
		const MOST_ANSWERED = 33554432;

		/** Headers of a request that are handed on, by their names in $_SERVER. Those of htmx are, too. */
		const ASKED = '/\A(?:CONTENT_TYPE|HTTP_ACCEPT|HTTP_ACCEPT_LANGUAGE|HTTP_IF_NONE_MATCH|HTTP_HX_[A-Z_]+)\z/';

		/** Headers of an answer that are handed back. A cookie never is, and how long an answer is kept is said here. */
		const ANSWERED = '/\A(?:content-(?:type|disposition|language|security-policy)|x-content-type-options|x-frame-options|referrer-policy|permissions-policy|cross-origin-[a-z-]+|location|etag|allow|retry-after|hx-[a-z-]+)\z/i';

		/** What is asked for: the address's path up to the dashboard, the path below it, and the query. */
		private static $asked = null;

		public static function listen() {
			$uri = isset( $_SERVER['REQUEST_URI'] ) ? (string) $_SERVER['REQUEST_URI'] : '';
			if ( false === strpos( $uri, self::NAME ) || ! self::is_on() ) {
				return;
			}
			self::$asked = self::asked( $uri );
			if ( null === self::$asked ) {
				return;
			}
			// DONOTCACHEDB, since the signing secret must not lie in a cache.
			foreach ( array( 'DONOTCACHEPAGE', 'DONOTCACHEDB', 'DONOTMINIFY' ) as $name ) {
				if ( ! defined( $name ) ) {
					define( $name, true );
				}
			}
			// What other plugins print before the answer is thrown away.
			ob_start();
			// Late, so that plugins which turn people away at this point have done so.
			add_action( 'init', array( __CLASS__, 'answer' ), PHP_INT_MAX );
		}

		/** Tells whether the dashboard is shown on the address of the current site. */
		public static function is_on() {
			if ( false === strpos( WPBRIDGE_COMPANION, '"on_site":true' ) ) {
				return false;
			}
			$way = Wpbridge_Companion::dashboard();
			return true === $way['on_site'];
		}

		/** The dashboard's address, without a slash at its end. Where WordPress rewrites no addresses, it goes by index.php. */
		public static function address() {
			$structure = (string) get_option( 'permalink_structure' );
			$is_plain  = '' === $structure || 0 === strpos( $structure, '/index.php' );
			return self::home() . ( $is_plain ? '/index.php' : '' ) . self::NAME;
		}

		/** Not home_url(), into which plugins for languages put the language. */
		private static function home() {
			return untrailingslashit( (string) get_option( 'home' ) );
		}

		private static function asked( $uri ) {
			$parts = explode( '?', $uri, 2 );
			$home  = rtrim( (string) parse_url( self::home(), PHP_URL_PATH ), '/' );
			foreach ( array( '', '/index.php' ) as $script ) {
				$base = $home . $script . self::NAME;
				if ( $parts[0] === $base || 0 === strpos( $parts[0], "$base/" ) ) {
					return array(
						'base'    => $base,
						'address' => self::home() . $script . self::NAME,
						'path'    => (string) substr( $parts[0], strlen( $base ) ),
						'query'   => isset( $parts[1] ) ? $parts[1] : '',
					);
				}
			}
			return null;
		}

		/** Answers the request, and ends it. */
		public static function answer() {
			$asked  = self::$asked;
			$method = isset( $_SERVER['REQUEST_METHOD'] ) ? $_SERVER['REQUEST_METHOD'] : 'GET';
			if ( ! in_array( $method, array( 'GET', 'HEAD', 'POST' ), true ) ) {
				self::say( 405, 'This method is not for the dashboard.', array( array( 'Allow', 'GET, HEAD, POST' ) ) );
			}
			$role = self::admitted( $method );
			$more = '' === $asked['query'] ? '' : '?' . $asked['query'];
			if ( ! preg_match( '~\A[!-\~]*\z~', $asked['path'] . $more ) ) {
				self::say( 400, 'The address has characters that no address has.' );
			}
			if ( '' === $asked['path'] && 'POST' !== $method ) {
				self::send( 302, array( array( 'Location', $asked['address'] . "/$more" ) ), '' );
			}
			// The server must see the path that is signed, and none that means another one.
			if ( preg_match( '~(?:\A|/)(?:\.|%2e){1,2}(?:/|\z)|//|\\\\|%5c|%2f|%00~i', $asked['path'] ) ) {
				self::say( 404, 'There is no such page.' );
			}
			$body  = 'POST' === $method ? self::checked_body() : '';
			$found = self::ask( $method, $body, $role );
			if ( is_string( $found ) ) {
				self::say( 502, $found );
			}
			self::send( $found['status'], $found['headers'], 'HEAD' === $method ? '' : $found['body'] );
		}

		/** The role of the person, or the end of the request. */
		private static function admitted( $method ) {
			if ( is_user_logged_in() ) {
				$role = Wpbridge_Dashboard::role();
				if ( null === $role ) {
					self::say( 403, 'Your account may not see the dashboard of wpbridge. The setting [web.people] of wpbridge names the capabilities that may.' );
				}
				return $role;
			}
			$more = '' === self::$asked['query'] ? '' : '?' . self::$asked['query'];
			if ( 'GET' === $method && ! isset( $_SERVER['HTTP_HX_REQUEST'] ) ) {
				// Not auth_redirect(), which asks for a cookie that browsers send to wp-admin alone.
				self::send( 302, array( array( 'Location', wp_login_url( self::$asked['address'] . self::$asked['path'] . $more ) ) ), '' );
			}
			self::say( 401, 'You are not signed in to WordPress any more.', array( array( 'HX-Redirect', wp_login_url( self::$asked['address'] . '/' ) ) ) );
		}

		/** The body of a change that has the person's nonce, or the end of the request. */
		private static function checked_body() {
			$given = isset( $_SERVER['HTTP_X_WPBRIDGE_CSRF'] ) ? $_SERVER['HTTP_X_WPBRIDGE_CSRF'] : '';
			$given = '' === $given && isset( $_POST['csrf'] ) ? $_POST['csrf'] : $given;
			if ( ! is_string( $given ) || ! wp_verify_nonce( $given, self::NONCE ) ) {
				self::say( 403, 'This change did not come from a page of the dashboard, or the page is too old. Open the page anew, and try again.' );
			}
			// PHP keeps such a body to itself.
			if ( isset( $_SERVER['CONTENT_TYPE'] ) && 0 === stripos( $_SERVER['CONTENT_TYPE'], 'multipart/' ) ) {
				self::say( 415, 'The dashboard takes no files.' );
			}
			$body = (string) file_get_contents( 'php://input', false, null, 0, self::MOST_ASKED + 1 );
			if ( strlen( $body ) > self::MOST_ASKED ) {
				self::say( 413, 'The dashboard takes at most 1 MiB.' );
			}
			return $body;
		}

		/*
		 * The server.
		 */

		/** The answer of the server: its status, headers and body. A sentence for people where there is none. */
		private static function ask( $method, $body, $role ) {
			$way = Wpbridge_Companion::dashboard();
			if ( ! is_string( $way['server'] ) || ! preg_match( self::LOOPBACK, $way['server'] ) ) {
				return 'The companion plugin knows no address of wpbridge serve on this host: run wpbridge wp install-plugin again.';
			}
			$path  = $way['base_path'] . self::$asked['path'];
			$token = self::forward( $method, $path, $body, $role );
			if ( null === $token ) {
				return 'wpbridge has made no signing secret on this site yet: run wpbridge init on its host, or start wpbridge serve.';
			}
			$query = self::$asked['query'];
			$lines = array(
				"$method $path" . ( '' === $query ? '' : "?$query" ) . ' HTTP/1.1',
				// A server behind a Unix socket has no name.
				'Host: ' . ( 0 === strpos( $way['server'], 'tcp://' ) ? substr( $way['server'], 6 ) : 'localhost' ),
				'Connection: close',
				'Accept-Encoding: identity',
				"X-Wpbridge-Forward: $token",
			);
			if ( 'POST' === $method ) {
				$lines[] = 'Content-Length: ' . strlen( $body );
			}
			$text = implode( "\r\n", array_merge( $lines, self::headers_to_hand_on() ) ) . "\r\n\r\n$body";
			// Other plugins show or log even what is silenced with @.
			set_error_handler( '__return_true' );
			try {
				$raw = self::talk( $way['server'], $text );
			} catch ( Exception $error ) {
				$raw = null;
			} catch ( Throwable $error ) {
				$raw = null;
			}
			restore_error_handler();
			if ( null === $raw ) {
				return "wpbridge serve is not running at {$way['server']}, or PHP may not connect to it. Start it there, and open this page again.";
			}
			$found = self::read( $raw, $method );
			return null === $found ? "What answers at {$way['server']} took too long, or is not wpbridge serve." : $found;
		}

		/** The header that says who asks for what. Null where wpbridge has made no signing secret. */
		private static function forward( $method, $path, $body, $role ) {
			$claims = array(
				'sub'         => wp_get_current_user()->user_login,
				'role'        => $role,
				'method'      => $method,
				'path'        => $path,
				'query'       => self::$asked['query'],
				'body_sha256' => hash( 'sha256', $body ),
				'base'        => self::$asked['base'],
				'csrf'        => wp_create_nonce( self::NONCE ),
				'checked'     => 'POST' === $method,
				'address'     => isset( $_SERVER['REMOTE_ADDR'] ) ? (string) $_SERVER['REMOTE_ADDR'] : '',
			);
			return wpbridge_token( 'forward', $claims, self::FORWARD_SECONDS );
		}

		private static function headers_to_hand_on() {
			$lines = array();
			foreach ( $_SERVER as $name => $value ) {
				// WordPress has put backslashes before quotes.
				$value = is_string( $value ) ? wp_unslash( $value ) : '';
				if ( preg_match( self::ASKED, $name ) && preg_match( '/\A[\x20-\x7e\x80-\xff]+\z/', $value ) ) {
					$lines[] = strtr( 0 === strpos( $name, 'HTTP_' ) ? substr( $name, 5 ) : $name, '_', '-' ) . ": $value";
				}
			}
			return $lines;
		}

		/**
		 * Sends a request, and returns all that comes back. Null if nobody is there.
		 *
		 * Not by wp_remote_request(): its filters would show the signed header to other plugins, it may use a proxy or refuse
		 * this host, and it speaks with no Unix socket.
		 */
		private static function talk( $server, $text ) {
			$stream = stream_socket_client( $server, $code, $why, self::CONNECT_SECONDS );
			if ( ! $stream ) {
				return null;
			}
			$end = microtime( true ) + self::ANSWER_SECONDS;
			for ( $sent = 0; $sent < strlen( $text ); $sent += $wrote ) {
				$wrote = (int) fwrite( $stream, substr( $text, $sent, 65536 ) );
				if ( $wrote <= 0 ) {
					// A server that refuses a body may have answered before it has read all.
					break;
				}
			}
			$raw = '';
			while ( ! feof( $stream ) && strlen( $raw ) <= self::MOST_ANSWERED ) {
				$left = $end - microtime( true );
				if ( $left <= 0 ) {
					break;
				}
				stream_set_timeout( $stream, (int) $left, (int) ( 1000000 * ( $left - (int) $left ) ) );
				$raw .= (string) fread( $stream, 65536 );
			}
			fclose( $stream );
			return $raw;
		}

		/** Reads an answer of HTTP. Null if it is none, or not whole. */
		private static function read( $raw, $method ) {
			$parts = explode( "\r\n\r\n", $raw, 2 );
			$lines = explode( "\r\n", $parts[0] );
			if ( 2 !== count( $parts ) || ! preg_match( '~\AHTTP/1\.[01] ([2-5]\d\d)(?: |\z)~', array_shift( $lines ), $found ) ) {
				return null;
			}
			$status  = (int) $found[1];
			$is_bare = 'HEAD' === $method || 204 === $status || 304 === $status;
			$body    = $is_bare ? '' : $parts[1];
			$headers = array();
			foreach ( $lines as $line ) {
				$pair      = array_map( 'trim', explode( ':', $line, 2 ) + array( '', '' ) );
				$headers[] = $pair;
				$name      = strtolower( $pair[0] );
				if ( 'transfer-encoding' === $name && ! $is_bare ) {
					$body = self::unchunked( $body );
				} elseif ( 'content-length' === $name && ! $is_bare && strlen( $body ) !== (int) $pair[1] ) {
					return null;
				}
			}
			return null === $body ? null : compact( 'status', 'headers', 'body' );
		}

		/** A body that came in chunks, as a whole. Null if its end is missing. */
		private static function unchunked( $chunks ) {
			$body = '';
			for ( $at = 0; preg_match( '/\G([0-9a-f]{1,7})[^\r\n]*\r\n/i', $chunks, $found, 0, $at ); ) {
				$size = hexdec( $found[1] );
				$at  += strlen( $found[0] );
				if ( 0 === $size ) {
					return $body;
				}
				$body .= substr( $chunks, $at, $size );
				$at   += $size + 2;
			}
			return null;
		}

		/*
		 * The answer.
		 */

		/** Answers with one sentence, and ends the request. */
		private static function say( $status, $sentence, $headers = array() ) {
			$title     = 'wpbridge';
			$headers[] = array( 'Content-Type', 'text/html; charset=UTF-8' );
			$headers[] = array( 'Content-Security-Policy', "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" );
			$headers[] = array( 'X-Content-Type-Options', 'nosniff' );
			$headers[] = array( 'Referrer-Policy', 'no-referrer' );
			$back      = is_user_logged_in() ? '<p><a href="' . esc_url( admin_url() ) . '">Back to wp-admin</a></p>' : '';
			$body      = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
				. "<title>$title</title></head><body><main><h1>$title</h1><p>" . esc_html( $sentence ) . "</p>$back</main></body></html>";
			self::send( $status, $headers, isset( $_SERVER['REQUEST_METHOD'] ) && 'HEAD' === $_SERVER['REQUEST_METHOD'] ? '' : $body );
		}

		/** Sends an answer in which nothing of other plugins is but their cookies, and ends the request. */
		private static function send( $status, $headers, $body ) {
			set_error_handler( '__return_true' );
			while ( ob_get_level() > 0 && ob_end_clean() ) {
				continue;
			}
			ini_set( 'zlib.output_compression', 'Off' );
			restore_error_handler();
			if ( headers_sent( $file, $line ) ) {
				// Without our headers no page is safe to show.
				echo esc_html( "wpbridge: the dashboard cannot be shown, since $file has printed something before it, at line $line." );
				exit;
			}
			foreach ( headers_list() as $header ) {
				$name = strtok( $header, ':' );
				if ( 0 !== strcasecmp( $name, 'Set-Cookie' ) ) {
					header_remove( $name );
				}
			}
			foreach ( $headers as $pair ) {
				if ( preg_match( self::ANSWERED, $pair[0] ) ) {
					header( "$pair[0]: $pair[1]", 0 !== strcasecmp( $pair[0], 'Content-Security-Policy' ) );
				}
			}
			header( 'Cache-Control: private, no-store' );
			header( 'X-Robots-Tag: noindex, nofollow' );
			// Last, since a header Location changes it.
			http_response_code( $status );
			echo $body; // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- it is the server's, or escaped above.
			self::end();
		}

		/** Ends the request. What other plugins still print is thrown away: no handler of theirs can end this buffer. */
		private static function end() {
			remove_action( 'shutdown', 'wp_ob_end_flush_all', 1 );
			flush();
			foreach ( array( 'fastcgi_finish_request', 'litespeed_finish_request' ) as $finish ) {
				if ( function_exists( $finish ) ) {
					$finish();
				}
			}
			ob_start( array( __CLASS__, 'nothing' ), 0, 0 );
			exit;
		}

		public static function nothing() {
			return '';
		}
	}

	Wpbridge_On_Site::listen();
}
