<?php
/*
 * The sixth part of the companion plugin: the ways from wp-admin into wpbridge's dashboard.
 */

if ( ! class_exists( 'Wpbridge_Dashboard', false ) ) {

	/**
	 * Adds the entry "wpbridge" under Tools, and links to the dashboard's pages, for people whose capabilities give them a role.
	 *
	 * Who they are the dashboard hears from here, by a token that counts once, for 60 seconds. Where the dashboard is shown on
	 * the site's own address, no token is needed. Written in the PHP of 5.6, as the first part.
	 */
	final class Wpbridge_Dashboard {

		/** The page of wp-admin. */
		const PAGE = 'wpbridge';

		/** A path of the dashboard to which people may be led, with its query. Nothing that leads to another host, or above the dashboard, has this shape. */
		const PATH = '~\A/(?![^?]*(?:/\.|//))(?:[A-Za-z0-9][A-Za-z0-9._/?&=%:+,-]*)?\z~';

		/** How long the token of a login counts. */
		const LOGIN_SECONDS = 60;

		public static function listen() {
			add_action( 'admin_menu', array( __CLASS__, 'add_entry' ) );
			// The plugin has no filter for the actions of a row, but since 3.4 one for its column of args.
			add_filter( 'action_scheduler_list_table_column_args', array( __CLASS__, 'add_link' ), PHP_INT_MAX, 2 );
		}

		/** The role of the current person: that of the first capability which the person has. Null for none. */
		public static function role() {
			$way = Wpbridge_Companion::dashboard();
			foreach ( is_user_logged_in() ? $way['people'] : array() as $pair ) {
				if ( current_user_can( $pair[0] ) ) {
					return $pair[1];
				}
			}
			return null;
		}

		/** The address of the dashboard, without a slash at its end. Empty where nobody has named one. */
		private static function named() {
			$way = Wpbridge_Companion::dashboard();
			return true === $way['on_site'] ? Wpbridge_On_Site::address() : (string) $way['url'];
		}

		/** The address to which links lead. Empty where there are to be none. */
		private static function address() {
			/** Filters the address of wpbridge's dashboard, to which links lead. Empty for no links. */
			return self::cleaned( apply_filters( 'wpbridge_dashboard_url', self::named() ) );
		}

		private static function cleaned( $address ) {
			return is_string( $address ) ? untrailingslashit( esc_url_raw( $address, array( 'http', 'https' ) ) ) : '';
		}

		private static function is_on_site( $address ) {
			return Wpbridge_On_Site::is_on() && self::cleaned( Wpbridge_On_Site::address() ) === $address;
		}

		/** The address of one page for the current person. Empty if the person has no role, or there are to be no links. */
		public static function url( $path ) {
			$address = null === self::role() ? '' : self::address();
			if ( '' === $address || self::is_on_site( $address ) ) {
				return '' === $address ? '' : $address . $path;
			}
			return self::entry() . ( '/' === $path ? '' : '&to=' . rawurlencode( $path ) );
		}

		private static function entry() {
			return admin_url( 'tools.php?page=' . self::PAGE );
		}

		/** A paragraph of links, from paths to texts, as HTML. Empty where there are none. */
		public static function links( $pages ) {
			$links = array();
			foreach ( $pages as $path => $text ) {
				$url = self::url( $path );
				if ( '' !== $url ) {
					$links[] = '<a href="' . esc_url( $url ) . '">' . esc_html( $text ) . '</a>';
				}
			}
			return $links ? '<p>' . implode( ' | ', $links ) . '</p>' : '';
		}

		/** Adds a link to the args of a row of Tools > Scheduled Actions. */
		public static function add_link( $html, $row = array() ) {
			$id = is_array( $row ) && isset( $row['ID'] ) ? (int) $row['ID'] : 0;
			return $id > 0 ? $html . self::links( array( "/actions/$id" => "Action $id in wpbridge" ) ) : $html;
		}

		public static function add_entry() {
			$way = Wpbridge_Companion::dashboard();
			if ( null === self::role() || ( '' !== self::named() && '' === self::address() ) ) {
				return;
			}
			foreach ( $way['people'] as $pair ) {
				if ( current_user_can( $pair[0] ) ) {
					$page = add_management_page( 'wpbridge', 'wpbridge', $pair[0], self::PAGE, array( __CLASS__, 'show' ) );
					add_action( "load-$page", array( __CLASS__, 'enter' ) );
					return;
				}
			}
		}

		/** Leads the person into the dashboard. Returns where that is not possible, and then the page says why. */
		public static function enter() {
			$address = self::address();
			$role    = self::role();
			// phpcs:ignore WordPress.Security.NonceVerification.Recommended -- it leads this person to a page that changes nothing.
			$to = isset( $_GET['to'] ) && is_string( $_GET['to'] ) ? wp_unslash( $_GET['to'] ) : '/';
			$to = preg_match( self::PATH, $to ) ? $to : '/';
			if ( '' === $address || null === $role ) {
				return;
			}
			if ( self::is_on_site( $address ) ) {
				self::lead( $address . $to );
			}
			$token = self::login( $role );
			if ( null !== $token ) {
				self::lead( "$address/enter?token=$token" . ( '/' === $to ? '' : '&to=' . rawurlencode( $to ) ) );
			}
		}

		/** A token by which the dashboard knows the current person once. Null where wpbridge has made no signing secret. */
		private static function login( $role ) {
			$claims = array(
				'sub'  => wp_get_current_user()->user_login,
				'role' => $role,
			);
			return wpbridge_token( 'login', $claims, self::LOGIN_SECONDS );
		}

		/** Does not use wp_redirect(), whose filters would show the token to other plugins, which may log it. */
		private static function lead( $url ) {
			nocache_headers();
			header( 'Cache-Control: private, no-store' );
			header( 'Referrer-Policy: no-referrer' );
			header( "Location: $url", true, 302 );
			exit;
		}

		/** The page where the dashboard cannot be opened: it says what to set. */
		public static function show() {
			echo '<div class="wrap"><h1>wpbridge</h1>';
			if ( '' !== self::address() ) {
				echo '<p>The dashboard cannot know who you are: wpbridge has made no signing secret on this site yet. ',
					'Run <code>wpbridge init</code> on its host, or start <code>wpbridge serve</code>, and open this page again.</p>';
			} else {
				self::show_ways();
			}
			echo '<h2>What wpbridge does here</h2><p>', implode( '<br>', array_map( 'esc_html', Wpbridge_Companion::facts() ) ), '</p></div>';
		}

		private static function show_ways() {
			$ways = array(
				'On this site\'s own address. No port, no name and no certificate is needed, and you stay signed in. Put <code>on_site = true</code> under <code>[web]</code> into <code>wpbridge.toml</code>.',
				'At an address of its own. Put <code>url = "https://queue.example.com"</code> under <code>[web]</code> into <code>wpbridge.toml</code>, and have a proxy hand its requests to <code>wpbridge serve</code>. This entry then signs you in there.',
			);
			echo '<p>The dashboard shows the whole queue of this site, and changes it. Nobody has said yet where it is. There are two ways:</p>',
				'<ol><li>', implode( '</li><li>', $ways ), '</li></ol>',
				'<p>Then run <code>wpbridge wp install-plugin</code>, which tells this site, and keep <code>wpbridge serve</code> running. Open this entry again after that.</p>';
		}
	}

	Wpbridge_Dashboard::listen();
}
