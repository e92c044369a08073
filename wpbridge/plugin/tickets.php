<?php
/*
 * The fourth part of the companion plugin: tokens that wpbridge reads, and tickets for its HTTP gateway. Written in the PHP
 * of 5.6, as the first part.
 */

if ( ! function_exists( 'wpbridge_ticket' ) ) {

	/**
	 * Returns a token with which a browser can enqueue one action at wpbridge's HTTP gateway, once.
	 *
	 * Null where wpbridge has made no signing secret on this site, and for what no action can have.
	 *
	 * @param string $hook    The action's hook.
	 * @param array  $args    Its args. The browser must send the same.
	 * @param int    $seconds How long the ticket counts, 900 at most.
	 * @param string $group   The action's group. Empty for none.
	 * @return string|null A JSON Web Token.
	 */
	function wpbridge_ticket( $hook, $args = array(), $seconds = 600, $group = '' ) {
		// Decoded and encoded once more, as wpbridge reads them: objects become arrays.
		$json = is_array( $args ) ? json_encode( json_decode( (string) json_encode( $args ), true ) ) : 'null';
		if ( '' === (string) $hook || 'null' === $json || false === $json || $seconds < 1 || $seconds > 900 ) {
			_doing_it_wrong( __FUNCTION__, 'It takes a hook, an array that JSON can hold, and 1 to 900 seconds.', 'wpbridge' );
			return null;
		}
		$claims = array(
			'hook'        => (string) $hook,
			'group'       => (string) $group,
			'args_sha256' => hash( 'sha256', $json ),
		);
		return wpbridge_token( 'ticket', $claims, (int) $seconds );
	}

	/**
	 * Signs claims as a JSON Web Token that only wpbridge on this site reads, for one use and a short time.
	 *
	 * @param string $use     One of Wpbridge_Companion::USES.
	 * @param array  $claims  What it says beside its issuer, audience, times and id.
	 * @param int    $seconds How long it counts.
	 * @return string|null Null where wpbridge has made no signing secret on this site, and for what JSON cannot hold.
	 */
	function wpbridge_token( $use, $claims, $seconds ) {
		global $wpdb;
		$site = Wpbridge_Companion::rows( "SELECT value FROM {$wpdb->prefix}wpbridge_site WHERE name = 'site_id'" );
		$keys = wpbridge_signing_keys( $use );
		if ( ! $site || ! $keys ) {
			return null;
		}
		$now  = time();
		$json = json_encode(
			array(
				'iss' => 'wpbridge',
				'aud' => $site[0]['value'],
				'iat' => $now,
				'exp' => $now + $seconds,
				'jti' => bin2hex( random_bytes( 16 ) ),
			) + $claims
		);
		if ( false === $json ) {
			return null;
		}
		$signed = implode( '.', array_map( 'wpbridge_base64url', array( '{"alg":"HS256","typ":"JWT"}', $json ) ) );
		return $signed . '.' . wpbridge_base64url( hash_hmac( 'sha256', $signed, $keys[0], true ) );
	}

	/** Writes bytes as a JSON Web Token has them. */
	function wpbridge_base64url( $bytes ) {
		return rtrim( strtr( base64_encode( $bytes ), '+/', '-_' ), '=' );
	}
}
